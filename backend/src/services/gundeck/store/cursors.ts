import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { Row, WideColumnStore } from '../../../ports/wide-column.ts'

/** One row for each of a user's clients, whether it acknowledges or not. */
export const cursorsTable = table({
  name: 'gundeck_cursors',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: {
    isAcknowledging: 'boolean',
    /** Everything up to here is acknowledged; of clients that acknowledge only. */
    cursor: of<NotificationId>()('timeuuid?'),
    /** Ids beyond the cursor that are acknowledged too, joined by commas. */
    acknowledged: 'text?',
  },
})

export interface Cursor {
  readonly client: ClientId
  readonly isAcknowledging: boolean
  readonly cursor: NotificationId | undefined
  readonly acknowledged: readonly NotificationId[]
}

export interface CursorStore {
  list(user: UserId): Promise<Cursor[]>
  get(user: UserId, client: ClientId): Promise<Cursor | undefined>
  /** @param writtenAtMicros By the id clock, so that a later cursor also counts as written later. */
  put(user: UserId, cursor: Cursor, writtenAtMicros: bigint): Promise<void>
  remove(user: UserId, client: ClientId): Promise<void>
  removeAll(user: UserId): Promise<void>
}

export function cursorStore(db: WideColumnStore): CursorStore {
  return {
    async list(user) {
      // A user has few clients: one page.
      const { rows } = await db.list(cursorsTable, { user })
      return rows.map((row) => fromRow(row))
    },
    async get(user, client) {
      const row = await db.get(cursorsTable, { user, client })
      return row && fromRow(row)
    },
    put: (user, { client, isAcknowledging, cursor, acknowledged }, writtenAtMicros) =>
      db.put(
        cursorsTable,
        {
          user,
          client,
          isAcknowledging,
          cursor,
          acknowledged: acknowledged.length === 0 ? undefined : acknowledged.join(','),
        },
        { writtenAtMicros },
      ),
    remove: (user, client) => db.remove(cursorsTable, { user, client }),
    removeAll: (user) => db.removeRange(cursorsTable, { user }),
  }
}

function fromRow(row: Row<typeof cursorsTable>): Cursor {
  return {
    client: row.client,
    isAcknowledging: row.isAcknowledging,
    cursor: row.cursor,
    acknowledged: (row.acknowledged?.split(',') ?? []) as NotificationId[],
  }
}
