import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { AttachmentNumber, InboxRow } from '../gundeck/attachments.ts'

/** Why a socket is closed by the owner of its inbox. */
export const CloseReason = z.enum(['replaced', 'client-removed', 'user-removed'])
export type CloseReason = z.infer<typeof CloseReason>

export const Delivery = InboxRow.extend({
  isTransient: z.boolean().optional(),
  /** The sockets that get it: attachment and sequence number. */
  to: z.array(z.tuple([AttachmentNumber, z.int()])),
})
export type Delivery = z.infer<typeof Delivery>

export const deliveriesApi = {
  /** What the owner of some inboxes has for a cannon's sockets, gathered over a turn of its loop. */
  deliver: endpoint({
    method: 'POST',
    path: '/i/deliveries',
    versions: since(0),
    auth: 'internal',
    summary: 'Hand notifications to live sockets',
    body: z.object({
      /** In the order of sequence numbers for each attachment. */
      deliveries: z.array(Delivery),
      /** Attachments that are over after these deliveries; their sockets read on from the store. */
      lost: z.array(AttachmentNumber),
      close: z.array(z.object({ attachment: AttachmentNumber, reason: CloseReason })),
    }),
    limitBytes: 64 * 1024 * 1024,
    responses: {
      200: z.object({
        /** Attachments that this cannon does not have, or no longer. */
        unknown: z.array(AttachmentNumber),
      }),
    },
    errors: [],
  }),
}
