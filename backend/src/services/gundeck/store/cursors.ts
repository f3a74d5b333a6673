import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { Row, WideColumnStore } from '../../../ports/wide-column.ts'
import type { Seen } from '../rules/acknowledged.ts'

/** One row for each of a user's clients, whether it acknowledges or not. */
export const cursorsTable = table({
  name: 'gundeck_cursors',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: {
    isAcknowledging: 'boolean',
    /** This and the following of clients that acknowledge only; see `Seen`. */
    begin: of<NotificationId>()('timeuuid?'),
    cursor: of<NotificationId>()('timeuuid?'),
    /** Joined by commas. */
    acknowledged: 'text?',
  },
})

export interface Cursor {
  readonly client: ClientId
  /** Absent while the client does not acknowledge. */
  readonly seen: Seen | undefined
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
    put: (user, { client, seen }, writtenAtMicros) =>
      db.put(
        cursorsTable,
        {
          user,
          client,
          isAcknowledging: seen !== undefined,
          begin: seen?.begin,
          cursor: seen?.cursor,
          acknowledged: seen?.acknowledged.length ? seen.acknowledged.join(',') : undefined,
        },
        { writtenAtMicros },
      ),
    remove: (user, client) => db.remove(cursorsTable, { user, client }),
    removeAll: (user) => db.removeRange(cursorsTable, { user }),
  }
}

function fromRow(row: Row<typeof cursorsTable>): Cursor {
  const { client, isAcknowledging, begin, cursor } = row
  if (!isAcknowledging || begin === undefined || cursor === undefined) {
    return { client, seen: undefined }
  }
  const acknowledged = (row.acknowledged?.split(',') ?? []) as NotificationId[]
  return { client, seen: { begin, cursor, acknowledged } }
}
