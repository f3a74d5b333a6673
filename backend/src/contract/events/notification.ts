import { z } from 'zod'
import { NotificationId } from '../ids.ts'

/** Events as they stand in a payload; their own shapes are declared beside this file. */
const Payload = z.array(z.looseObject({ type: z.string() })).min(1)

/** A binary frame of `/await`: ASCII only, because browsers read it byte by byte. */
export const AwaitFrame = z.object({
  id: NotificationId,
  payload: Payload,
  transient: z.literal(true).optional(),
})
export type AwaitFrame = z.infer<typeof AwaitFrame>

/** Counts up from 1 on each socket. */
const DeliveryTag = z.int().positive()

/** A binary frame of `/events`, from the server. */
export const EventsFrame = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('event'),
    data: z.object({
      event: z.object({ id: NotificationId, payload: Payload }),
      delivery_tag: DeliveryTag,
    }),
  }),
  /** Something expired unseen: nothing follows before `ack_full_sync`. */
  z.object({ type: z.literal('notifications_missed') }),
  z.object({
    type: z.literal('synchronization'),
    data: z.object({ marker_id: z.string(), delivery_tag: DeliveryTag }),
  }),
])
export type EventsFrame = z.infer<typeof EventsFrame>

/** A frame of `/events`, from the client, text or binary. */
export const EventsReply = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ack'),
    /** `multiple`: this tag and all before it. */
    data: z.object({ delivery_tag: z.int().nonnegative(), multiple: z.boolean() }),
  }),
  z.object({ type: z.literal('ack_full_sync') }),
])
export type EventsReply = z.infer<typeof EventsReply>
