import type { DatabaseSync } from 'node:sqlite'
import { quote } from '../../ports/table-layout.ts'
import type { TableLayout } from '../../ports/table-layout.ts'
import { expiryColumn } from './layout.ts'

const rowsPerBite = 500
const hourMs = 3_600_000

export interface Purge {
  watch(layouts: readonly TableLayout[]): void
  /** Removes a few expired rows of each table, inside the caller's transaction; true for more. */
  bite(db: DatabaseSync, nowMs: number): boolean
}

/** Readers do not see expired rows; this gives their space back, a little at a time. */
export function purge(): Purge {
  const bites = new Map<string, (db: DatabaseSync, nowMs: number) => boolean>()
  return {
    watch(layouts) {
      for (const { name, shape } of layouts) {
        if (!bites.has(name)) bites.set(name, shape === 'queue' ? byWalk(name) : byIndex(name))
      }
    },
    bite: (db, nowMs) =>
      [...bites.values()].map((bite) => bite(db, nowMs)).some((hasMore) => hasMore),
  }
}

function byIndex(table: string): (db: DatabaseSync, nowMs: number) => boolean {
  const text = `DELETE FROM ${quote(table)} WHERE _rowid_ IN
    (SELECT _rowid_ FROM ${quote(table)} WHERE ${expiryColumn} <= ? LIMIT ${rowsPerBite})`
  return (db, nowMs) => Number(db.prepare(text).run(nowMs).changes) === rowsPerBite
}

/** A queue has no index on its expiry, which every append would pay for: it is walked instead. */
function byWalk(table: string): (db: DatabaseSync, nowMs: number) => boolean {
  const name = quote(table)
  const endText = `SELECT count(*) AS rows, max(_rowid_) AS last FROM
    (SELECT _rowid_ FROM ${name} WHERE _rowid_ > ? ORDER BY _rowid_ LIMIT ${rowsPerBite})`
  const removeText = `DELETE FROM ${name}
    WHERE _rowid_ > ? AND _rowid_ <= ? AND ${expiryColumn} <= ?`
  let walked = 0
  let nextWalkMs = Number.NEGATIVE_INFINITY
  return (db, nowMs) => {
    if (nowMs < nextWalkMs) return false
    const { rows = 0, last } = db.prepare(endText).get(walked) ?? {}
    if (typeof last === 'number') db.prepare(removeText).run(walked, last, nowMs)
    const hasMore = rows === rowsPerBite
    walked = hasMore && typeof last === 'number' ? last : 0
    if (!hasMore) nextWalkMs = nowMs + hourMs
    return hasMore
  }
}
