import type { Worker } from 'node:worker_threads'
import { threadsMs } from '../platform/clock.ts'
import type { Platform } from '../platform/service.ts'
import { startThread } from '../platform/thread.ts'
import type { FromBeat, MainPort } from '../services/gundeck/ring/beat-thread.ts'
import type { BeatThreadData } from './cassandra-beat-thread.ts'
import { cassandraOptions } from './cassandra.ts'
import type { CassandraConfig } from './config.ts'

/** What the thread says before it beats. */
export type Opening =
  | { readonly kind: 'waiting'; readonly reason: string | undefined }
  | { readonly kind: 'ready' }

const restartMs = 1000
/**
 * Of a raise: then another node is asked what became of it, and there is time for another raise
 * before the others take the inboxes.
 */
const conditionalTimeoutMs = 300
const requestTimeoutMs = 1000

/**
 * Signs of life from a thread with a connection of its own: they wait neither behind messages nor
 * behind whatever keeps the event loop busy. A thread that ends is replaced.
 */
export async function openBeatThread(
  config: CassandraConfig,
  platform: Pick<Platform, 'log' | 'clock'>,
): Promise<MainPort & AsyncDisposable> {
  const { nowMs: _, waiting, ...options } = await cassandraOptions(config, platform)
  const data: BeatThreadData = { options: { ...options, requestTimeoutMs, conditionalTimeoutMs } }
  return openThread(new URL('./cassandra-beat-thread.ts', import.meta.url), data, waiting)
}

/** @param waiting Told what the thread waits for, and `undefined` when it waits no more */
export async function openThread(
  module: URL,
  data: unknown,
  waiting?: (reason: string | undefined) => void,
): Promise<MainPort & AsyncDisposable> {
  const opened = Promise.withResolvers<void>()
  let receive: (message: FromBeat) => void = () => undefined
  let ended: (error: unknown) => void = () => undefined
  let begun: (() => void) | undefined
  let worker: Worker
  let restart: NodeJS.Timeout | undefined
  let isReady = false
  let isClosed = false

  function start(): void {
    let cause: unknown
    worker = startThread(module, data)
    worker.on('message', (message: FromBeat | Opening) => {
      if (message.kind === 'waiting') waiting?.(message.reason)
      else if (message.kind === 'ready') ready()
      else receive(message)
    })
    worker.on('error', (error) => (cause = error))
    worker.on('exit', (code) => {
      if (isClosed) return
      const wasReady = isReady
      isReady = false
      cause ??= new Error(`the thread exited with ${String(code)}`)
      if (begun === undefined) opened.reject(cause)
      else if (wasReady) ended(cause)
      restart = setTimeout(start, restartMs)
    })
  }

  function ready(): void {
    isReady = true
    opened.resolve()
    begun?.()
  }

  start()
  try {
    await opened.promise
  } catch (error) {
    clearTimeout(restart)
    throw error
  }
  return {
    post(message) {
      if (isReady) worker.postMessage(message)
    },
    listen(receiver) {
      receive = receiver
    },
    onThread(onEnded, onBegun) {
      ended = onEnded
      begun = onBegun
      if (!isReady) ended(new Error('the thread is not there yet'))
    },
    monotonicMs: threadsMs,
    async [Symbol.asyncDispose]() {
      isClosed = true
      clearTimeout(restart)
      await worker.terminate()
    },
  }
}
