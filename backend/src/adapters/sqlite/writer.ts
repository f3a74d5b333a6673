import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { errorOf } from './failure-error.ts'
import { openGroupCommit } from './group-commit.ts'
import type { BatchOutcome, CommitHooks, GroupCommit, WriterOptions } from './group-commit.ts'
import type { TableLayout } from '../../ports/table-layout.ts'
import type { Statement } from './statements.ts'
import { startThread } from '../../platform/thread.ts'
import { writeBatch } from './write-batch.ts'
import { writerLoop } from './writer-loop.ts'
import type { FromWriter, ToWriter } from './writer-loop.ts'
import type { WriterThreadData } from './writer-thread.ts'

/** The way to the one connection that writes. */
export interface Writer {
  /** True when it was done, false when a condition did not hold. */
  write(statements: readonly Statement[], options: { isConditional: boolean }): Promise<boolean>
  upgradeSchema(layouts: readonly TableLayout[]): Promise<void>
  /** Resolves when everything that was accepted is committed and the file is closed. */
  close(): Promise<void>
}

export interface WriterSettings extends WriterOptions {
  hooks: CommitHooks
  /** Bytes of writes that may wait; beyond, writes are refused at once. */
  largestWaitingBytes: number
  nowMs: () => number
  /** The file is damaged: no write will succeed before somebody restores it. */
  onFatal: (error: Error) => void
}

interface Waiting<Result> {
  resolve: (result: Result) => void
  reject: (error: Error) => void
}
type InFlight =
  | { kind: 'writes'; requests: Waiting<boolean>[]; sizeBytes: number }
  | ({ kind: 'schema' } & Waiting<void>)

export interface Link {
  post(message: ToWriter, transfer?: readonly ArrayBuffer[]): void
}

const largestBatchBytes = 1024 * 1024
/** What a waiting request costs besides its bytes. */
const requestBytes = 300
const restartDelayMs = 1000
const purgePauseMs = { idle: 10_000, busy: 100 }

/** A thread of its own for a file, so that a slow disk does not hold up the event loop. */
export async function threadWriter(settings: WriterSettings): Promise<Writer> {
  const { file, synchronous, hooks } = settings
  const workerData: WriterThreadData = {
    file,
    synchronous,
    hasHooks: hooks.beforeCommit !== undefined || hooks.afterCommit !== undefined,
  }
  return await openWriter(settings, (received, lost) => {
    const worker = startThread(new URL('./writer-thread.ts', import.meta.url), workerData)
    let cause: unknown
    worker.on('message', received)
    worker.on('error', (error) => (cause = error))
    worker.on('exit', () => lost(cause))
    return { post: (message, transfer = []) => worker.postMessage(message, transfer) }
  })
}

/** The same on the calling thread, for data that lives in memory. */
export async function inlineWriter(
  settings: WriterSettings,
): Promise<Writer & Pick<GroupCommit, 'db'>> {
  const core = openGroupCommit(settings, settings.hooks)
  const opened = await openWriter(settings, (received, lost) => {
    const port = { post: received, receive: () => undefined }
    queueMicrotask(() => received({ kind: 'ready' }))
    return { post: writerLoop(core, port, lost) }
  })
  return { ...opened, db: core.db }
}

/** A writer over any link to a `writerLoop`; the link tells when it is gone for good. */
export async function openWriter(
  { hooks, largestWaitingBytes, nowMs, onFatal }: WriterSettings,
  connect: (received: (message: FromWriter) => void, lost: (cause: unknown) => void) => Link,
): Promise<Writer> {
  const texts = new Map<string, number>()
  const layouts: TableLayout[] = []
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let link: Link | undefined
  let batch = writeBatch()
  let requests: Waiting<boolean>[] = []
  let inFlight: InFlight[] = []
  let inFlightBytes = 0
  let sentTexts = 0
  let isFlushPlanned = false
  let state: 'opening' | 'open' | 'closing' | 'closed' = 'opening'
  let restart: NodeJS.Timeout | undefined
  let purge: NodeJS.Timeout | undefined

  function start(): void {
    sentTexts = 0
    link = connect(received, lost)
  }

  function received(message: FromWriter): void {
    switch (message.kind) {
      case 'ready':
        if (state === 'opening') state = 'open'
        opened.resolve()
        planPurge(purgePauseMs.idle)
        return
      case 'written':
        for (const outcome of message.batches) answer(outcome)
        finishClosing()
        return
      case 'schema': {
        const request = inFlight.shift()
        if (request?.kind !== 'schema') throw new Error('an answer without a question')
        if (message.problem === undefined) request.resolve()
        else request.reject(new Error(message.problem))
        finishClosing()
        return
      }
      case 'purged':
        planPurge(message.hasMore ? purgePauseMs.busy : purgePauseMs.idle)
        return
      case 'hook':
        void callHook(message)
        return
      case 'closed':
        state = 'closed'
        closed.resolve()
    }
  }

  function answer({ outcomes, failures }: BatchOutcome): void {
    const request = inFlight.shift()
    if (request?.kind !== 'writes') throw new Error('an answer without a question')
    inFlightBytes -= request.sizeBytes
    let failed = 0
    for (const [index, waiting] of request.requests.entries()) {
      const outcome = outcomes[index]
      if (outcome !== 2) {
        waiting.resolve(outcome === 1)
        continue
      }
      const failure = failures[failed] ?? { kind: 'unavailable', message: 'no reason is known' }
      failed += 1
      waiting.reject(errorOf(failure))
      if (failure.kind === 'damaged') onFatal(errorOf(failure))
    }
  }

  async function callHook({ name, requests: count }: FromWriter & { kind: 'hook' }): Promise<void> {
    try {
      await hooks[name]?.(count)
      link?.post({ kind: 'hook-done' })
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error(String(error))
      const errcode = error instanceof Error && 'errcode' in error ? error.errcode : undefined
      link?.post({ kind: 'hook-done', error: { message, errcode } })
    }
  }

  /** The thread ended: what it had may or may not be committed, and another takes its place. */
  function lost(cause: unknown): void {
    if (state === 'closed') return
    link = undefined
    if (state === 'opening') {
      state = 'closed'
      opened.reject(cause)
      return
    }
    const error = new UnknownOutcome('the thread that writes has ended', { cause })
    const broken = inFlight
    inFlight = []
    inFlightBytes = 0
    for (const request of broken) {
      if (request.kind === 'schema') request.reject(error)
      else for (const { reject } of request.requests) reject(error)
    }
    rejectUnsent(
      new Unavailable('nothing was written: the thread that writes has ended', { cause }),
    )
    if (state === 'closing') {
      state = 'closed'
      closed.reject(error)
      return
    }
    restart = setTimeout(() => {
      start()
      if (layouts.length > 0) void askSchema(layouts).catch(() => undefined)
    }, restartDelayMs)
  }

  function rejectUnsent(error: Error): void {
    const unsent = requests
    requests = []
    batch = writeBatch()
    for (const { reject } of unsent) reject(error)
  }

  function flush(): void {
    if (requests.length === 0 || !link) return
    const sizeBytes = batch.sizeBytes + requests.length * requestBytes
    const count = requests.length
    const bytes = batch.take()
    const newTexts = [...texts.keys()].slice(sentTexts)
    sentTexts = texts.size
    inFlight.push({ kind: 'writes', requests, sizeBytes })
    inFlightBytes += sizeBytes
    requests = []
    link.post({ kind: 'writes', bytes, count, texts: newTexts }, [bytes.buffer])
  }

  function planFlush(): void {
    if (isFlushPlanned) return
    isFlushPlanned = true
    // Once per turn of the event loop: what all requests of this turn write goes together.
    setImmediate(() => {
      isFlushPlanned = false
      flush()
    })
  }

  function planPurge(pauseMs: number): void {
    clearTimeout(purge)
    purge = setTimeout(() => link?.post({ kind: 'purge', nowMs: nowMs() }), pauseMs).unref()
  }

  async function askSchema(asked: readonly TableLayout[]): Promise<void> {
    flush()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (!link) throw new Unavailable('the thread that writes is starting')
    inFlight.push({ kind: 'schema', resolve, reject })
    link.post({ kind: 'schema', layouts: asked })
    await promise
  }

  function idOf(text: string): number {
    let id = texts.get(text)
    if (id === undefined) texts.set(text, (id = texts.size))
    return id
  }

  function finishClosing(): void {
    if (state === 'closing' && inFlight.length === 0) link?.post({ kind: 'close' })
  }

  start()
  await opened.promise
  return {
    write(statements, { isConditional }) {
      if (state !== 'open' || !link) {
        const reason = state === 'open' ? 'the thread that writes is starting' : 'it is closed'
        return Promise.reject(new Unavailable(`nothing was written: ${reason}`))
      }
      if (inFlightBytes + batch.sizeBytes + requests.length * requestBytes > largestWaitingBytes) {
        const reason = 'nothing was written: too many writes are waiting'
        return Promise.reject(new Unavailable(reason, { retryAfterSeconds: 1 }))
      }
      batch.add({
        isConditional,
        statements: statements.map(({ sql, params }) => ({ id: idOf(sql), params })),
      })
      const { promise, resolve, reject } = Promise.withResolvers<boolean>()
      requests.push({ resolve, reject })
      if (batch.sizeBytes >= largestBatchBytes) flush()
      else planFlush()
      return promise
    },
    async upgradeSchema(added) {
      await askSchema(added)
      layouts.push(...added)
    },
    async close() {
      if (state === 'open') {
        state = 'closing'
        clearTimeout(purge)
        clearTimeout(restart)
        flush()
        if (link) finishClosing()
        else closed.resolve()
      }
      await closed.promise
    },
  }
}
