import { z } from 'zod'
import { endpoint, jsonTextResponse, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId, NotificationId } from '../ids.ts'

export const notificationErrors = errors({
  notFound: {
    status: 404,
    label: 'not-found',
    message: 'There is no such notification: it expired or never was',
  },
})

const TimeUuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i)
  .toLowerCase()
  .pipe(NotificationId)

export const notificationsApi = {
  /**
   * Ascending, after `since` or from the oldest; 404 when `since` is not one of this inbox's ids or
   * is older than 28 days. The reply is text because payloads are stored as JSON already:
   * `{notifications: [{id, payload}], has_more, time}`.
   */
  getNotifications: endpoint({
    method: 'GET',
    path: '/notifications',
    versions: since(0),
    auth: 'user',
    summary: 'Notifications after a known one',
    query: z.object({
      since: TimeUuid.optional(),
      client: ClientId.optional(),
      size: z.coerce.number().int().min(100).max(10_000).default(1000),
    }),
    responses: { 200: jsonTextResponse },
    errors: [notificationErrors.notFound],
  }),
  /** `{id, payload}` */
  getLastNotification: endpoint({
    method: 'GET',
    path: '/notifications/last',
    versions: since(0),
    auth: 'user',
    summary: 'The newest notification',
    query: z.object({ client: ClientId.optional() }),
    responses: { 200: jsonTextResponse },
    errors: [notificationErrors.notFound],
  }),
  /** `{id, payload}` */
  getNotification: endpoint({
    method: 'GET',
    path: '/notifications/{id}',
    versions: since(0),
    auth: 'user',
    summary: 'One notification',
    params: z.object({ id: z.guid().toLowerCase() }),
    query: z.object({ client: ClientId.optional() }),
    responses: { 200: jsonTextResponse },
    errors: [notificationErrors.notFound],
  }),
}
