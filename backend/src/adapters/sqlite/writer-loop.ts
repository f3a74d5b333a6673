import type { BatchOutcome, CommitHooks, GroupCommit } from './group-commit.ts'
import type { TableLayout } from '../../ports/table-layout.ts'

export type ToWriter =
  | {
      kind: 'writes'
      bytes: Uint8Array<ArrayBuffer>
      count: number
      /** SQL that these writes are the first to use. */
      texts: readonly string[]
    }
  | { kind: 'schema'; layouts: readonly TableLayout[] }
  | { kind: 'purge'; nowMs: number }
  | { kind: 'hook-done'; error?: { message: string; errcode?: unknown } }
  | { kind: 'close' }

export type FromWriter =
  | { kind: 'ready' }
  | { kind: 'written'; batches: BatchOutcome[] }
  | { kind: 'schema'; problem?: string }
  | { kind: 'purged'; hasMore: boolean }
  | { kind: 'hook'; name: keyof CommitHooks; requests: number }
  | { kind: 'closed' }

export interface WriterPort {
  post(message: FromWriter): void
  /** A message that has arrived but was not delivered yet. */
  receive(): ToWriter | undefined
}

/** Bounds the time that the first of the waiting writes spends in its commit. */
const largestCommitBytes = 8 * 1024 * 1024

/** Works through messages in order; writes that wait together are committed together. */
export function writerLoop(
  core: GroupCommit,
  port: WriterPort,
  failed: (error: unknown) => void,
): (message: ToWriter) => void {
  const waiting: ToWriter[] = []
  let isRunning = false

  function takeWrites(): (ToWriter & { kind: 'writes' })[] {
    const taken = []
    let sizeBytes = 0
    for (
      let next = waiting[0];
      next?.kind === 'writes' && sizeBytes < largestCommitBytes;
      next = waiting[0]
    ) {
      taken.push(next)
      sizeBytes += next.bytes.length
      waiting.shift()
    }
    return taken
  }

  async function step(): Promise<void> {
    for (let next = port.receive(); next; next = port.receive()) waiting.push(next)
    const writes = takeWrites()
    if (writes.length > 0) {
      for (const { texts } of writes) core.addStatements(texts)
      port.post({ kind: 'written', batches: await core.commit(writes) })
      return
    }
    const message = waiting.shift()
    switch (message?.kind) {
      case 'schema':
        port.post({ kind: 'schema', ...problemOf(() => core.upgradeSchema(message.layouts)) })
        return
      case 'purge':
        port.post({ kind: 'purged', hasMore: core.purge(message.nowMs) })
        return
      case 'close':
        await core.close()
        port.post({ kind: 'closed' })
        return
      // Writes were taken above; the rest is not for the loop.
      case 'writes':
      case 'hook-done':
      case undefined:
    }
  }

  async function run(): Promise<void> {
    try {
      await step()
    } catch (error) {
      failed(error)
      return
    }
    isRunning = waiting.length > 0
    // A turn of the event loop between steps, so that answers leave and messages arrive.
    if (isRunning) setImmediate(() => void run())
  }

  return (message) => {
    waiting.push(message)
    if (isRunning) return
    isRunning = true
    void run()
  }
}

function problemOf(attempt: () => void): { problem?: string } {
  try {
    attempt()
    return {}
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}
