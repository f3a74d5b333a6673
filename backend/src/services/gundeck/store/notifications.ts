import type { NotificationId, UserId } from '../../../contract/ids.ts'
import type { ConnectionId } from '../../../contract/ids.ts'
import { of, put, table } from '../../../ports/wide-column.ts'
import type { Operation, Row, WideColumnStore } from '../../../ports/wide-column.ts'
import { compareTimeUuid, msOfTicks, ticksOf } from '../../../platform/time-uuid.ts'
import { decodeDeliveries, encodeDeliveries } from '../rules/payload.ts'
import type { StoredDelivery } from '../rules/payload.ts'

const secondsPerDay = 24 * 60 * 60
/** What nobody fetched vanishes after so long. */
export const rowTtlSeconds = 28 * secondsPerDay
/** Longer than the rows of the bucket's last day live. */
const bucketTtlSeconds = 30 * secondsPerDay
/** Longer than the last row that names the payload. */
const payloadTtlSeconds = 29 * secondsPerDay

/** One row for each push and user; a bucket is a partition, named by the first id in it. */
export const notificationsTable = table({
  name: 'gundeck_notifications',
  partition: { user: of<UserId>()('uuid'), bucket: of<NotificationId>()('timeuuid') },
  cluster: { id: of<NotificationId>()('timeuuid') },
  columns: {
    request: 'uuid',
    /** See `encodeDeliveries`. */
    deliveries: 'text',
    /** The event time written into the payload. */
    time: 'timestamp?',
    /** The user's own connection that caused it and so did not get it live. */
    origin: of<ConnectionId>()('text?'),
  },
  shape: 'queue',
})

/** Insert-only, and written before the first row of the bucket. */
export const bucketsTable = table({
  name: 'gundeck_buckets',
  partition: { user: of<UserId>()('uuid') },
  cluster: { bucket: of<NotificationId>()('timeuuid') },
  columns: { tenure: 'text' },
  shape: 'queue',
})

/** Payloads that go to many inboxes unchanged but for the time. */
export const payloadsTable = table({
  name: 'gundeck_payloads',
  partition: { payload: 'uuid' },
  cluster: {},
  columns: { template: 'text' },
})

export interface NotificationRow {
  readonly id: NotificationId
  readonly request: string
  readonly timeMs: number | undefined
  readonly origin: ConnectionId | undefined
  readonly deliveries: readonly StoredDelivery[]
}

/** Rows that are read at once, so that a page of large ones does not fill the memory. */
const rowsPerRead = 32

export interface Bucket {
  readonly id: NotificationId
  /** Under which its rows were given their ids, see `tenureText`. */
  readonly tenure: string
}

/** How a bucket names the shard epoch of its rows, and who gave out their ids. */
export const tenureText = (epoch: bigint, instance: string): string =>
  `${epoch.toString()}@${instance}`

/** The epoch in a bucket's tenure; undefined in rows of before there was one. */
export function epochOf(tenure: string): bigint | undefined {
  const end = tenure.indexOf('@')
  return end > 0 && /^\d+$/.test(tenure.slice(0, end)) ? BigInt(tenure.slice(0, end)) : undefined
}

export interface NotificationStore {
  /** Ascending. */
  buckets(user: UserId): Promise<Bucket[]>
  openBucket(user: UserId, bucket: NotificationId, tenure: string): Promise<void>
  append(user: UserId, bucket: NotificationId, rows: readonly NotificationRow[]): Promise<void>
  /** After a position, or from the first row, ascending, some rows at a time. */
  readAfter(
    user: UserId,
    after: NotificationId | undefined,
    isWanted?: (bucket: Bucket) => boolean,
  ): AsyncGenerator<NotificationRow[]>
  find(user: UserId, id: NotificationId): Promise<NotificationRow | undefined>
  /** From the newest on; take as many as needed. */
  newestFirst(user: UserId): AsyncGenerator<NotificationRow>
  /** Removes everything between; what lies before `after` was erased already. */
  erase(user: UserId, after: NotificationId | undefined, upTo: NotificationId): Promise<void>
  eraseAll(user: UserId): Promise<void>
  putPayload(payload: string, template: string): Promise<void>
  payload(payload: string): Promise<string | undefined>
}

/** Microseconds since 1970 of an id, so that last-write-wins agrees with the order of ids. */
const microsOf = (id: NotificationId): bigint => BigInt(msOfTicks(ticksOf(id) ?? 0n)) * 1000n

export function notificationStore(db: WideColumnStore): NotificationStore {
  async function buckets(user: UserId): Promise<Bucket[]> {
    const found: Bucket[] = []
    let page: string | undefined
    do {
      const next = await db.list(bucketsTable, { user }, { page })
      for (const row of next.rows) found.push({ id: row.bucket, tenure: row.tenure })
      page = next.next
    } while (page !== undefined)
    return found
  }

  return {
    buckets,
    openBucket: (user, bucket, tenure) =>
      db.put(
        bucketsTable,
        { user, bucket, tenure },
        { ttlSeconds: bucketTtlSeconds, writtenAtMicros: microsOf(bucket) },
      ),
    async append(user, bucket, rows) {
      await db.batch(rows.map((row) => putRow(user, bucket, row)))
    },
    async *readAfter(user, after, isWanted = () => true) {
      const all = await buckets(user)
      // The bucket that a position lies in begins at or before it.
      const first = after === undefined ? 0 : Math.max(0, lastAtOrBefore(all, after))
      for (const { id: bucket } of all.slice(first).filter(isWanted)) {
        let page: string | undefined
        do {
          const found = await db.list(
            notificationsTable,
            { user, bucket },
            { page, limit: rowsPerRead, ...(after === undefined ? {} : { after }) },
          )
          if (found.rows.length > 0) yield found.rows.map((row) => fromRow(row))
          page = found.next
        } while (page !== undefined)
      }
    },
    async find(user, id) {
      const all = await buckets(user)
      const bucket = all[lastAtOrBefore(all, id)]?.id
      const row = bucket && (await db.get(notificationsTable, { user, bucket, id }))
      return row && fromRow(row)
    },
    async *newestFirst(user) {
      for (const { id: bucket } of (await buckets(user)).reverse()) {
        let page: string | undefined
        do {
          const found = await db.list(
            notificationsTable,
            { user, bucket },
            { page, order: 'descending', limit: 10 },
          )
          for (const row of found.rows) yield fromRow(row)
          page = found.next
        } while (page !== undefined)
      }
    },
    async erase(user, after, upTo) {
      const all = await buckets(user)
      const first = after === undefined ? 0 : Math.max(0, lastAtOrBefore(all, after))
      const options = { writtenAtMicros: microsOf(upTo) }
      for (const { id: bucket } of all.slice(first, lastAtOrBefore(all, upTo) + 1)) {
        await db.removeRange(notificationsTable, { user, bucket }, { to: upTo }, options)
      }
    },
    async eraseAll(user) {
      for (const { id: bucket } of await buckets(user)) {
        await db.removeRange(notificationsTable, { user, bucket })
      }
      await db.removeRange(bucketsTable, { user })
    },
    putPayload: (payload, template) =>
      db.put(payloadsTable, { payload, template }, { ttlSeconds: payloadTtlSeconds }),
    async payload(payload) {
      const row = await db.get(payloadsTable, { payload })
      return row?.template
    },
  }
}

function putRow(user: UserId, bucket: NotificationId, row: NotificationRow): Operation {
  return put(
    notificationsTable,
    {
      user,
      bucket,
      id: row.id,
      request: row.request,
      deliveries: encodeDeliveries(row.deliveries),
      time: row.timeMs,
      origin: row.origin,
    },
    { ttlSeconds: rowTtlSeconds, writtenAtMicros: microsOf(row.id) },
  )
}

function fromRow(row: Row<typeof notificationsTable>): NotificationRow {
  return {
    id: row.id,
    request: row.request,
    timeMs: row.time,
    origin: row.origin,
    deliveries: decodeDeliveries(row.deliveries),
  }
}

/** Index of the last bucket that begins at or before the id; -1 when there is none. */
function lastAtOrBefore(buckets: readonly Bucket[], id: NotificationId): number {
  return buckets.findLastIndex((bucket) => compareTimeUuid(bucket.id, id) <= 0)
}
