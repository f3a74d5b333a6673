import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import { commitFailure, isCondition, refusal } from './failure.ts'
import type { Failure } from './failure.ts'
import type { TableLayout } from '../../ports/table-layout.ts'
import { purge } from './purge.ts'
import { upgradeSchema } from './schema.ts'
import { readBatch } from './write-batch.ts'
import type { WriteRequest } from './write-batch.ts'

export interface WriterOptions {
  /** A path, or `:memory:`. */
  file: string
  /** `full`: a commit is on disk when it is answered. `off`: it is with the operating system. */
  synchronous: 'full' | 'off'
}

/** Called, and waited for, around each commit with the number of requests in it. */
export interface CommitHooks {
  /** An error fails the commit as if the engine had raised it: see `errcode` of `node:sqlite`. */
  beforeCommit?(requests: number): Promise<void> | void
  afterCommit?(requests: number): Promise<void> | void
}

/** What became of each request of a batch, in its order. */
export interface BatchOutcome {
  /** 1: done. 0: a condition did not hold, nothing was done. 2: see `failures`. */
  outcomes: Uint8Array<ArrayBuffer>
  failures: Failure[]
}

export interface GroupCommit {
  readonly db: DatabaseSync
  /** SQL texts that requests name by their index. */
  addStatements(texts: readonly string[]): void
  upgradeSchema(layouts: readonly TableLayout[]): void
  /**
   * Commits all requests of all batches at once; failures are outcomes. Rejects only when the
   * connection is of no use any more.
   */
  commit(
    batches: readonly { bytes: Uint8Array<ArrayBuffer>; count: number }[],
  ): Promise<BatchOutcome[]>
  /** True when there is more to remove. */
  purge(nowMs: number): boolean
  close(): Promise<void>
}

const failed = 2

/** The one connection that writes. */
export function openGroupCommit(options: WriterOptions, hooks: CommitHooks = {}): GroupCommit {
  const db = new DatabaseSync(options.file, { timeout: 5000 })
  db.exec(`PRAGMA journal_mode = ${options.file === ':memory:' ? 'MEMORY' : 'WAL'}`)
  db.exec(`PRAGMA synchronous = ${options.synchronous}`)
  // Another thread moves the log into the file; here it would hold up writers.
  db.exec('PRAGMA wal_autocheckpoint = 0')
  // What is erased is overwritten when that costs no further page.
  db.exec('PRAGMA secure_delete = FAST')

  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const savepoint = db.prepare('SAVEPOINT request')
  const release = db.prepare('RELEASE request')
  const undo = db.prepare('ROLLBACK TO request')
  const texts: string[] = []
  const statements: StatementSync[] = []
  const expired = purge()

  function run({ id, params }: WriteRequest['statements'][number]): boolean {
    const statement = (statements[id] ??= db.prepare(texts[id] ?? ''))
    return Number(statement.run(...params)['changes']) > 0
  }

  /** False when a condition did not hold. A single statement is undone by SQLite if it fails. */
  function runRequest({ isConditional, statements: [first, ...others] }: WriteRequest): boolean {
    if (first === undefined) return true
    if (others.length === 0) return run(first) || !isConditional
    savepoint.run()
    let isDone = false
    try {
      isDone = [first, ...others].every((statement) => run(statement) || !isConditional)
    } finally {
      if (db.isTransaction) {
        if (!isDone) undo.run()
        release.run()
      }
    }
    return isDone
  }

  function runBatch(bytes: Uint8Array<ArrayBuffer>, count: number): BatchOutcome {
    const outcomes = new Uint8Array(count)
    const failures: Failure[] = []
    let index = 0
    for (const request of readBatch(bytes)) {
      try {
        outcomes[index] = runRequest(request) ? 1 : 0
      } catch (error) {
        // Only what concerns this request alone stays with it.
        if (isCondition(error) || !db.isTransaction) throw error
        outcomes[index] = failed
        failures.push(refusal(error))
      }
      index += 1
    }
    return { outcomes, failures }
  }

  return {
    db,
    addStatements(added) {
      texts.push(...added)
    },
    upgradeSchema(layouts) {
      begin.run()
      try {
        upgradeSchema(db, layouts)
        commit.run()
      } finally {
        if (db.isTransaction) rollback.run()
      }
      expired.watch(layouts)
    },
    async commit(batches) {
      let step: 'before' | 'during' | 'after' = 'before'
      try {
        begin.run()
        const outcomes = batches.map(({ bytes, count }) => runBatch(bytes, count))
        const requests = batches.reduce((sum, { count }) => sum + count, 0)
        if (hooks.beforeCommit) await hooks.beforeCommit(requests)
        step = 'during'
        commit.run()
        step = 'after'
        if (hooks.afterCommit) await hooks.afterCommit(requests)
        return outcomes
      } catch (error) {
        if (db.isTransaction) rollback.run()
        const failure = commitFailure(error, step)
        return batches.map(({ count }) => ({
          outcomes: new Uint8Array(count).fill(failed),
          failures: Array.from({ length: count }, () => failure),
        }))
      }
    },
    purge(nowMs) {
      begin.run()
      try {
        const hasMore = expired.bite(db, nowMs)
        commit.run()
        return hasMore
      } finally {
        if (db.isTransaction) rollback.run()
      }
    },
    async close() {
      db.close()
    },
  }
}
