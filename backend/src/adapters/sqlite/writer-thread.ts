import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { boundLog } from './bound-log.ts'
import { openGroupCommit } from './group-commit.ts'
import type { CommitHooks, WriterOptions } from './group-commit.ts'
import { writerLoop } from './writer-loop.ts'
import type { FromWriter, ToWriter } from './writer-loop.ts'

/** Entry point of the writer's thread. */

export interface WriterThreadData extends WriterOptions {
  hasHooks: boolean
}

const port = parentPort
if (!port) throw new Error('this file runs as a worker thread')
const { hasHooks, ...options } = workerData as WriterThreadData
let hookDone: ((message: ToWriter & { kind: 'hook-done' }) => void) | undefined

const post = (message: FromWriter): void => {
  port.postMessage(message)
}

const callHook = (name: keyof CommitHooks, requests: number): Promise<void> =>
  new Promise((resolve, reject) => {
    hookDone = ({ error }) => {
      if (error) reject(Object.assign(new Error(error.message), { errcode: error.errcode }))
      else resolve()
    }
    post({ kind: 'hook', name, requests })
  })

const core = openGroupCommit(
  options,
  hasHooks
    ? {
        beforeCommit: (requests) => callHook('beforeCommit', requests),
        afterCommit: (requests) => callHook('afterCommit', requests),
      }
    : {},
)
const push = writerLoop(
  boundLog(core, options.file),
  {
    post(message) {
      post(message)
      if (message.kind === 'closed') port.close()
    },
    receive: () => receiveMessageOnPort(port)?.message as ToWriter | undefined,
  },
  (error) => {
    throw error
  },
)

port.on('message', (message: ToWriter) => {
  if (message.kind === 'hook-done') hookDone?.(message)
  else push(message)
})
post({ kind: 'ready' })
