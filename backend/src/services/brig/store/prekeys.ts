import { Unavailable } from '../../../contract/error.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import type { Ids } from '../../../platform/ids.ts'
import { of, putIfAbsent, removeIf, table, updateIf } from '../../../ports/wide-column.ts'
import type { ConditionalOperation, WideColumnStore } from '../../../ports/wide-column.ts'
import type { Prekey } from '../rules/prekey.ts'

/** The last resort is given out again and again: a session must always be possible. */
export const lastPrekeyId = 65_535

/** At most 65536 rows in a partition: ids have 16 bits. */
export const prekeysTable = table({
  name: 'brig_prekeys',
  partition: { user: of<UserId>()('uuid'), client: of<ClientId>()('text') },
  cluster: { id: 'int' },
  columns: { key: 'text' },
  writes: 'conditional',
})

export interface PrekeyStore {
  /** Adds keys; one with the number of another takes its place. Of equal numbers the last counts. */
  add(user: UserId, client: ClientId, prekeys: readonly Prekey[]): Promise<void>
  /**
   * A key that nobody else gets, or the last resort when there is no other. Undefined for a device
   * that does not exist.
   */
  claim(user: UserId, client: ClientId): Promise<Prekey | undefined>
  /** Numbers of the keys that are left, with that of the last resort. */
  listIds(user: UserId, client: ClientId): Promise<number[]>
  removeAll(user: UserId, client: ClientId): Promise<void>
}

/** Rows in one conditional batch. */
const batchSize = 100
/** Among so many keys a claim picks one by chance, so that racing claims rarely meet. */
const candidateCount = 16
/** Every failed attempt means that somebody else got further. */
const maxAttempts = 32

export function prekeyStore(db: WideColumnStore, ids: Pick<Ids, 'uint32'>): PrekeyStore {
  /** Builds operations from what is stored, and again when that changed in between. */
  async function applyTo(
    user: UserId,
    client: ClientId,
    range: { from: number; to: number },
    build: (existing: ReadonlyMap<number, string>) => ConditionalOperation[],
  ): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const existing = new Map<number, string>()
      for (let page: string | undefined; ;) {
        const options = { ...range, page }
        const { rows, next } = await db.list(prekeysTable, { user, client }, options)
        for (const { id, key } of rows) existing.set(id, key)
        if (next === undefined) break
        page = next
      }
      const operations = build(existing)
      if (operations.length === 0 || (await db.batchIf(operations))) return
    }
    throw new Unavailable('writing prekeys that others keep changing')
  }

  return {
    async add(user, client, prekeys) {
      const byId = new Map(prekeys.map(({ id, key }) => [id, key]))
      const sorted = [...byId].toSorted(([a], [b]) => a - b)
      for (let start = 0; start < sorted.length; start += batchSize) {
        const chunk = sorted.slice(start, start + batchSize)
        const range = { from: chunk[0]?.[0] ?? 0, to: chunk.at(-1)?.[0] ?? 0 }
        await applyTo(user, client, range, (existing) =>
          chunk.flatMap(([id, key]) => {
            const stored = existing.get(id)
            if (stored === key) return []
            return stored === undefined
              ? [putIfAbsent(prekeysTable, { user, client, id, key })]
              : [updateIf(prekeysTable, { user, client, id }, { key: stored }, { key })]
          }),
        )
      }
    },
    async claim(user, client) {
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const { rows } = await db.list(
          prekeysTable,
          { user, client },
          { before: lastPrekeyId, limit: candidateCount },
        )
        const candidate = rows[ids.uint32() % Math.max(rows.length, 1)]
        if (candidate === undefined) break
        const { id, key } = candidate
        if (await db.removeIf(prekeysTable, { user, client, id }, { key })) return { id, key }
      }
      const last = await db.get(prekeysTable, { user, client, id: lastPrekeyId })
      return last && { id: last.id, key: last.key }
    },
    async listIds(user, client) {
      const found: number[] = []
      for (let page: string | undefined; ;) {
        const { rows, next } = await db.list(prekeysTable, { user, client }, { page })
        found.push(...rows.map(({ id }) => id))
        if (next === undefined) return found
        page = next
      }
    },
    async removeAll(user, client) {
      for (;;) {
        const { rows } = await db.list(prekeysTable, { user, client }, { limit: batchSize })
        const [first, last] = [rows[0], rows.at(-1)]
        if (first === undefined || last === undefined) return
        await applyTo(user, client, { from: first.id, to: last.id }, (existing) =>
          [...existing].map(([id, key]) => removeIf(prekeysTable, { user, client, id }, { key })),
        )
      }
    },
  }
}
