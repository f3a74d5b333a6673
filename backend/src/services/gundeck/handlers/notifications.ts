import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import type { InboxRow } from '../../../contract/gundeck/attachments.ts'
import { notificationErrors } from '../../../contract/gundeck/notifications.ts'
import type { notificationsApi } from '../../../contract/gundeck/notifications.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { msOfTicks, ticksOf } from '../../../platform/time-uuid.ts'
import type { InboxReader } from '../inbox/reader.ts'
import type { Ring } from '../ring/ring.ts'
import { acknowledgedBy, unseenAfter } from '../rules/acknowledged.ts'
import type { NotificationIds } from '../rules/notification-id.ts'
import type { CursorStore } from '../store/cursors.ts'
import { rowTtlSeconds } from '../store/notifications.ts'
import type { ClientActivity } from '../workers/client-activity.ts'

const pageBytes = 5 * 1024 * 1024

export function notificationHandlers(deps: {
  reader: InboxReader
  cursors: CursorStore
  ids: NotificationIds
  ring: Pick<Ring, 'isClockBelieved'>
  clock: Clock
  activity: ClientActivity
}): Handlers<typeof notificationsApi> {
  const { reader, cursors, ids, ring, clock } = deps

  /** An id that the caller may go on from, whether or not its row is still there. */
  function isKnown(user: UserId, since: NotificationId): boolean {
    if (!ids.isOurs(user, since)) return false
    const ageMs = clock.nowMs() - msOfTicks(ticksOf(since) ?? 0n)
    if (ageMs <= rowTtlSeconds * 1000) return true
    // A clock that is a year ahead must not make clients fetch everything anew.
    if (!ring.isClockBelieved) throw new Unavailable('the clock of this host is not believed')
    return false
  }

  return {
    async getNotifications({ caller, query }) {
      const { user } = caller
      const { client } = query
      const used = caller.client ?? client
      if (used !== undefined) deps.activity.touch(user, used)
      if (query.since !== undefined && !isKnown(user, query.since)) {
        throw new ApiError(notificationErrors.notFound)
      }
      // What a client has acknowledged is gone for it, even while others have yet to see it.
      const seen = client === undefined ? undefined : (await cursors.get(user, client))?.seen
      const { rows, hasMore } = await reader.page(user, {
        after: seen ? unseenAfter(seen, query.since) : query.since,
        client,
        ...(seen && { isHidden: acknowledgedBy(seen) }),
        limit: query.size,
        limitBytes: pageBytes,
      })
      const time = formatTimestamp(clock.nowMs())
      return {
        status: 200,
        body:
          `{"notifications":[${rows.map((row) => rowJson(row)).join(',')}],` +
          `"has_more":${String(hasMore)},"time":"${time}"}`,
      }
    },
    async getLastNotification({ caller, query }) {
      const row = await reader.newest(caller.user, query.client)
      if (row === undefined) throw new ApiError(notificationErrors.notFound)
      return { status: 200, body: rowJson(row) }
    },
    async getNotification({ caller, params, query }) {
      const id = params.id as NotificationId
      const isOurs = ids.isOurs(caller.user, id)
      const row = isOurs ? await reader.find(caller.user, id, query.client) : undefined
      if (row === undefined) throw new ApiError(notificationErrors.notFound)
      return { status: 200, body: rowJson(row) }
    },
  }
}

const rowJson = ({ id, payload }: InboxRow): string => `{"id":"${id}","payload":${payload}}`
