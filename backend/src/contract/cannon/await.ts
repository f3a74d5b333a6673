import { z } from 'zod'
import { since, socketEndpoint } from '../endpoint.ts'
import { ClientId } from '../ids.ts'

const notificationSocket = {
  versions: since(0),
  isUnprefixed: true,
  query: z.object({ client: ClientId.optional() }),
  errors: [],
} as const

/**
 * Every notification that comes from now on, one binary frame each (`AwaitFrame`); nothing older is
 * repeated. A frame `ping` is answered by a binary `pong`.
 */
export const awaitSocket = socketEndpoint({
  ...notificationSocket,
  path: '/await',
  summary: 'Notifications as they come',
})

/** The same under the name that some clients use. */
export const websocketSocket = socketEndpoint({
  ...notificationSocket,
  path: '/websocket',
  summary: 'Notifications as they come',
})
