import type { Logger } from 'pino'
import type { InboxRow } from '../../../contract/gundeck/attachments.ts'
import type { ClientId, ConnectionId, NotificationId, UserId } from '../../../contract/ids.ts'
import { decodeTemplate, fillTimes, timesFrom, visiblePayload } from '../rules/payload.ts'
import type { ClientDelivery } from '../rules/payload.ts'
import type { NotificationRow, NotificationStore } from '../store/notifications.ts'

export interface PageQuery {
  readonly after: NotificationId | undefined
  readonly client: ClientId | undefined
  /** Rows that this connection caused are left out. */
  readonly connection?: ConnectionId | undefined
  /** These are left out too. */
  readonly isHidden?: (id: NotificationId) => boolean
  readonly limit: number
  /** Of payloads; one row is given in any case. */
  readonly limitBytes: number
}

export interface InboxPage {
  readonly rows: InboxRow[]
  /** The last row looked at, given or not; absent when there was none. */
  readonly position: NotificationId | undefined
  readonly hasMore: boolean
}

const readsPerTurn = 8

/** Reads inboxes as one client sees them. */
export interface InboxReader {
  /** Filled after filtering, so that a page is empty only when nothing is left. */
  page(user: UserId, query: PageQuery): Promise<InboxPage>
  find(
    user: UserId,
    id: NotificationId,
    client: ClientId | undefined,
  ): Promise<InboxRow | undefined>
  newest(user: UserId, client: ClientId | undefined): Promise<InboxRow | undefined>
}

export function inboxReader({
  store,
  log,
}: {
  store: NotificationStore
  log: Logger
}): InboxReader {
  async function show(
    row: NotificationRow,
    client: ClientId | undefined,
    shared: Map<string, string | undefined>,
  ): Promise<InboxRow | undefined> {
    const deliveries: ClientDelivery[] = []
    for (const delivery of row.deliveries) {
      const { clients } = delivery
      if (client !== undefined && clients !== undefined && !clients.includes(client)) continue
      if ('payload' in delivery) {
        deliveries.push(delivery)
        continue
      }
      const name = delivery.sharedPayload
      if (!shared.has(name)) shared.set(name, await store.payload(name))
      const template = shared.get(name)
      if (template === undefined) {
        log.error({ id: row.id }, 'a notification names a payload that is not there')
        continue
      }
      const decoded = decodeTemplate(template)
      deliveries.push({
        clients,
        payload:
          row.timeMs === undefined ? decoded.text : fillTimes(decoded, timesFrom(row.timeMs)),
      })
    }
    const payload = visiblePayload(deliveries, client)
    return payload === undefined ? undefined : { id: row.id, payload }
  }

  return {
    async page(user, { after, client, connection, isHidden, limit, limitBytes }) {
      const rows: InboxRow[] = []
      const shared = new Map<string, string | undefined>()
      let position: NotificationId | undefined
      let bytes = 0
      let reads = 0
      for await (const read of store.readAfter(user, after)) {
        // A store in this process answers at once: others must have their turn all the same.
        reads += 1
        if (reads % readsPerTurn === 0) await new Promise(setImmediate)
        for (const row of read) {
          const isOwn = connection !== undefined && row.origin === connection
          const shown = isOwn || isHidden?.(row.id) ? undefined : await show(row, client, shared)
          if (shown !== undefined) {
            const isFull = rows.length >= limit || bytes + shown.payload.length > limitBytes
            if (rows.length > 0 && isFull) return { rows, position, hasMore: true }
            rows.push(shown)
            bytes += shown.payload.length
          }
          position = row.id
        }
      }
      return { rows, position, hasMore: false }
    },
    async find(user, id, client) {
      const row = await store.find(user, id)
      return row && show(row, client, new Map())
    },
    async newest(user, client) {
      for await (const row of store.newestFirst(user)) {
        const shown = await show(row, client, new Map())
        if (shown !== undefined) return shown
      }
      return undefined
    },
  }
}
