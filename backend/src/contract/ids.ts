import { z } from 'zod'

/** Lower-case UUID text; input in any case is lowered. */
const guid = z.guid().toLowerCase()

export const UserId = guid.brand<'UserId'>()
export type UserId = z.infer<typeof UserId>
export const ConversationId = guid.brand<'ConversationId'>()
export type ConversationId = z.infer<typeof ConversationId>
export const TeamId = guid.brand<'TeamId'>()
export type TeamId = z.infer<typeof TeamId>
/** A version 1 UUID: the order of ids is the order of notifications. */
export const NotificationId = guid.brand<'NotificationId'>()
export type NotificationId = z.infer<typeof NotificationId>

/** A device: lower-case hex of 64 bits without leading zeros. */
export const ClientId = z
  .string()
  .regex(/^[0-9a-fA-F]{1,16}$/)
  .transform((text) => text.toLowerCase().replace(/^0+(?=.)/, ''))
  .pipe(z.string().brand<'ClientId'>())
export type ClientId = z.infer<typeof ClientId>

/** What one token's holder calls itself on its connections: the `c` of the access token. */
export const ConnectionId = z.string().min(1).max(64).brand<'ConnectionId'>()
export type ConnectionId = z.infer<typeof ConnectionId>

/** A backend domain: DNS labels, the last one alphabetic (Wire's clients refuse others). */
export const Domain = z
  .string()
  .toLowerCase()
  .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/)
  .brand<'Domain'>()
export type Domain = z.infer<typeof Domain>

export interface Qualified<Id> {
  domain: Domain
  id: Id
}

export const qualified = <Id extends z.ZodType>(id: Id) => z.object({ domain: Domain, id })

export const QualifiedUserId = qualified(UserId)
export type QualifiedUserId = z.infer<typeof QualifiedUserId>
export const QualifiedConversationId = qualified(ConversationId)
export type QualifiedConversationId = z.infer<typeof QualifiedConversationId>

/** UTC with exactly three decimals, as Wire's clients parse it. */
export const Timestamp = z.iso.datetime({ precision: 3 })
export const formatTimestamp = (ms: number): string => new Date(ms).toISOString()
