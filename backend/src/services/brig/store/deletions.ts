import type { UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

/** Users who are being deleted, and guests who will be: what a restart must go on with. */
export const deletionsTable = table({
  name: 'brig_deletions',
  partition: { user: of<UserId>()('uuid') },
  cluster: {},
  columns: { dueMs: 'timestamp' },
  shape: 'worklist',
})

export interface DeletionStore {
  /** Due from that moment on; replaces a moment given before. */
  schedule(user: UserId, dueMs: number): Promise<void>
  /** Of those that are due, some. */
  listDue(nowMs: number, limit: number): Promise<UserId[]>
  remove(user: UserId): Promise<void>
}

export function deletionStore(db: WideColumnStore): DeletionStore {
  return {
    schedule: (user, dueMs) => db.put(deletionsTable, { user, dueMs }),
    async listDue(nowMs, limit) {
      const due: UserId[] = []
      for (let page: string | undefined; ;) {
        const { rows, next } = await db.scan(deletionsTable, { page })
        due.push(...rows.filter(({ dueMs }) => dueMs <= nowMs).map(({ user }) => user))
        if (next === undefined || due.length >= limit) return due.slice(0, limit)
        page = next
      }
    },
    remove: (user) => db.remove(deletionsTable, { user }),
  }
}
