import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { ClientId, ConnectionId, UserId } from '../ids.ts'
import { RingVersion, ringErrors } from './ring.ts'

/** From one gundeck to another, which answers for its own inboxes only. */
export const routedQuery = z.object({
  /** The ring by which the caller chose the owner. */
  ringVersion: z.coerce.number().pipe(RingVersion).optional(),
})

/**
 * An event as it will stand in a notification's payload, without `time`: the owner of the inbox
 * writes that (`eventTimeMs`).
 */
export const EventPayload = z.record(z.string(), z.unknown())
export type EventPayload = z.infer<typeof EventPayload>

export const PushRecipient = z.object({
  user: UserId,
  /** Only these devices see it; all of the user's when absent. */
  clients: z.array(ClientId).optional(),
  /** What these devices see; the push's shared events when absent. */
  events: z.array(EventPayload).optional(),
})

export const Push = z.object({
  /** Made by the first caller; the same push sent again is stored once. */
  requestId: z.guid(),
  /** A user may be named several times, with different devices and events: one notification. */
  recipients: z.array(PushRecipient),
  events: z.array(EventPayload).optional(),
  /** Delivered to live sockets only, never stored. */
  isTransient: z.boolean().optional(),
  /** The socket of this user and connection is skipped live; the notification is stored. */
  origin: z.object({ user: UserId, connection: ConnectionId }).optional(),
  /** When the event happened, for events that carry `time`. */
  eventTimeMs: z.int().optional(),
  /** `high` when absent. */
  priority: z.enum(['low', 'high']).optional(),
})
export type Push = z.infer<typeof Push>

export const pushApi = {
  /** Answers when every non-transient notification is durable in each recipient's inbox. */
  push: endpoint({
    method: 'POST',
    path: '/i/push/v2',
    versions: since(0),
    auth: 'internal',
    summary: 'Append notifications to inboxes and wake the sockets',
    body: z.object({
      pushes: z.array(Push),
      /** Some of these pushes may have been stored by an earlier attempt whose answer was lost. */
      isRepeat: z.boolean().optional(),
      /** From another gundeck, which has chosen this one by that ring: nothing is passed on. */
      ringVersion: RingVersion.optional(),
      /** How long ago the first attempt began; five minutes are assumed of a repeat without it. */
      firstAttemptAgeMs: z.int().nonnegative().optional(),
    }),
    limitBytes: 64 * 1024 * 1024,
    responses: {
      200: z.object({
        /** Per push, the event time written into each recipient's inbox, for pushes that had one. */
        eventTimesMs: z.array(z.record(UserId, z.int())),
        /** Told to another gundeck: recipients whose inboxes are not owned here, by that ring. */
        elsewhere: z.array(UserId).optional(),
        ringVersion: RingVersion.optional(),
      }),
    },
    errors: [],
  }),
}

export const inboxApi = {
  /** Committed before brig publishes the client, so that nothing sent to it can be erased early. */
  openClientInbox: endpoint({
    method: 'PUT',
    path: '/i/inboxes/{user}/clients/{client}',
    versions: since(0),
    auth: 'internal',
    summary: 'Make the cursor of a new client',
    params: z.object({ user: UserId, client: ClientId }),
    query: routedQuery,
    body: z.object({ isAcknowledging: z.boolean() }),
    responses: { 200: empty },
    errors: [ringErrors.wrongOwner],
  }),
  closeClientInbox: endpoint({
    method: 'DELETE',
    path: '/i/inboxes/{user}/clients/{client}',
    versions: since(0),
    auth: 'internal',
    summary: 'Forget a deleted client: its cursor, its push tokens, its sockets',
    params: z.object({ user: UserId, client: ClientId }),
    query: routedQuery,
    responses: { 200: empty },
    errors: [ringErrors.wrongOwner],
  }),
  closeInbox: endpoint({
    method: 'DELETE',
    path: '/i/inboxes/{user}',
    versions: since(0),
    auth: 'internal',
    summary: 'Forget a deleted user: inbox, cursors, push tokens, sockets',
    params: z.object({ user: UserId }),
    query: routedQuery,
    responses: { 200: empty },
    errors: [ringErrors.wrongOwner],
  }),
}
