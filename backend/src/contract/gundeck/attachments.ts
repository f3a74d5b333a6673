import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { ClientId, ConnectionId, NotificationId, UserId } from '../ids.ts'
import { routedQuery } from './internal.ts'
import { RingVersion, ringErrors } from './ring.ts'

/**
 * A cannon's number for one socket's place at the owner of its inbox: unique within the cannon's
 * process and never used twice, so that a push of an attachment that is over finds nobody.
 */
export const AttachmentNumber = z.int().nonnegative()
export type AttachmentNumber = z.infer<typeof AttachmentNumber>

/** The owner pushes this many unconfirmed messages or bytes to one attachment, then lets it go. */
export const attachmentWindow = { messages: 64, bytes: 256 * 1024 } as const

export const Attach = z.object({
  attachment: AttachmentNumber,
  /** The same socket's attachment before this one; it is dropped without closing the socket. */
  replaces: AttachmentNumber.optional(),
  user: UserId,
  /** Everything addressed to any device when absent. */
  client: ClientId.optional(),
  connection: ConnectionId,
})
export type Attach = z.infer<typeof Attach>

/** A notification as one client sees it: `payload` is the JSON text of its array, in ASCII. */
export const InboxRow = z.object({ id: NotificationId, payload: z.string() })
export type InboxRow = z.infer<typeof InboxRow>

export const attachmentsApi = {
  /**
   * What a cannon has to say, gathered over one turn of its loop; an empty one is its heartbeat. An
   * attachment lives until it is detached, replaced or named in `lost`, or until the tenure changes.
   */
  exchangeAttachments: endpoint({
    method: 'POST',
    path: '/i/cannons/{cannon}/attachments',
    versions: since(0),
    auth: 'internal',
    summary: 'Attach sockets to inboxes, detach them, confirm what was written',
    params: z.object({ cannon: z.string() }),
    body: z.object({
      /** Where the owner delivers to. */
      address: z.string(),
      attach: z.array(Attach),
      detach: z.array(AttachmentNumber),
      /** Attachment, last sequence number written, payload characters written so far. */
      confirm: z.array(z.tuple([AttachmentNumber, z.int(), z.int()])),
    }),
    limitBytes: 16 * 1024 * 1024,
    responses: {
      200: z.object({
        /** One start of the owner; attachments made under another one are over. */
        tenure: z.string(),
        /**
         * Per item of `attach`: everything after this id will be pushed, sequence numbers from 1;
         * everything up to it can be read. Null when the inbox is not to be had here.
         */
        attached: z.array(NotificationId.nullable()),
        /** Attachments that are over: the socket reads from its position and attaches again. */
        lost: z.array(AttachmentNumber),
        /** The newest ring that the owner knows. */
        ringVersion: RingVersion,
        /** The others heard from the owner a moment ago: it still is one, as far as anybody knows. */
        isConfirmed: z.boolean(),
      }),
    },
    errors: [],
  }),
  /** Rows after a position, as the socket would have got them live. */
  readInbox: endpoint({
    method: 'POST',
    path: '/i/inboxes/{user}/rows',
    versions: since(0),
    auth: 'internal',
    summary: 'Read an inbox onwards from a position',
    params: z.object({ user: UserId }),
    body: z.object({
      after: NotificationId,
      client: ClientId.optional(),
      /** Rows that this connection caused are left out. */
      connection: ConnectionId.optional(),
      limit: z.int().positive(),
      /** Payload characters in the answer, at most; one row is given in any case. */
      limitBytes: z.int().positive(),
    }),
    responses: {
      200: z.object({
        rows: z.array(InboxRow),
        /** Continue after this: the last row looked at, given or not. */
        position: NotificationId,
        hasMore: z.boolean(),
      }),
    },
    errors: [],
  }),
}

export const queueApi = {
  /** What a client that acknowledges has yet to see. */
  openQueue: endpoint({
    method: 'POST',
    path: '/i/inboxes/{user}/clients/{client}/queue',
    versions: since(0),
    auth: 'internal',
    summary: 'Where an acknowledging client continues',
    params: z.object({ user: UserId, client: ClientId }),
    query: routedQuery,
    responses: {
      200: z.object({
        /** Absent when this client does not exist or does not acknowledge. */
        queue: z
          .object({
            /** Everything up to here is acknowledged. */
            cursor: NotificationId,
            /** Beyond the cursor, these are acknowledged too. */
            acknowledged: z.array(NotificationId),
            /** Notifications expired before the client saw them: it must synchronise fully. */
            hasMissed: z.boolean(),
          })
          .optional(),
      }),
    },
    errors: [ringErrors.wrongOwner],
  }),
  /** Never moves a cursor back, so it may be repeated. */
  acknowledge: endpoint({
    method: 'POST',
    path: '/i/acknowledgements',
    versions: since(0),
    auth: 'internal',
    summary: 'Note what acknowledging clients have seen',
    query: routedQuery,
    body: z.object({
      acknowledgements: z.array(
        z.object({
          user: UserId,
          client: ClientId,
          /** Everything up to here is acknowledged. */
          cursor: NotificationId,
          /** All ids beyond the cursor that are acknowledged. */
          acknowledged: z.array(NotificationId),
          /** The client has synchronised fully. */
          hasSynchronised: z.boolean().optional(),
        }),
      ),
    }),
    limitBytes: 16 * 1024 * 1024,
    responses: { 200: empty },
    errors: [ringErrors.wrongOwner],
  }),
}
