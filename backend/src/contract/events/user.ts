import { z } from 'zod'
import { ClientCapability, RegisteredClient } from '../brig/clients.ts'
import { Connection } from '../brig/connections.ts'
import { SelfUser } from '../brig/self-user.ts'
import {
  AccentId,
  BaseProtocol,
  Email,
  Handle,
  Locale,
  ManagedBy,
  Name,
  Picture,
  TextStatus,
  UserAsset,
} from '../brig/user-fields.ts'
import { ClientId, QualifiedUserId, TeamId, UserId } from '../ids.ts'

/*
 * What brig tells clients (Wire protocol notes §10). These events are flat and carry no time: `type`
 * and their own fields. Every field that a client may meet is named here; the tests refuse others.
 */
const event = <const Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.strictObject({ type: z.literal(type), ...shape })

export const UserActivateEvent = event('user.activate', { user: SelfUser })

/** Only what changed, and the id. */
export const UserUpdateEvent = event('user.update', {
  user: z.strictObject({
    id: UserId,
    name: Name.optional(),
    accent_id: AccentId.optional(),
    assets: z.array(UserAsset).optional(),
    picture: Picture.optional(),
    text_status: TextStatus.optional(),
    handle: Handle.optional(),
    locale: Locale.optional(),
    email: Email.optional(),
    team: TeamId.optional(),
    managed_by: ManagedBy.optional(),
    supported_protocols: z.array(BaseProtocol).optional(),
    sso_id_deleted: z.boolean(),
  }),
})

export const UserIdentityRemoveEvent = event('user.identity-remove', {
  user: z.strictObject({ id: UserId, email: Email }),
})

export const UserSuspendEvent = event('user.suspend', { id: UserId })
export const UserResumeEvent = event('user.resume', { id: UserId })
export const UserDeleteEvent = event('user.delete', { id: UserId, qualified_id: QualifiedUserId })

/** Somebody logged in elsewhere under the same label: fetch a new access token. */
export const UserSessionRefreshSuggestedEvent = event('user.session-refresh-suggested', {})

export const UserConnectionEvent = event('user.connection', {
  connection: z.strictObject(Connection.shape),
  user: z.strictObject({ name: Name }).optional(),
})

/** The shape that devices had before version 8: `capabilities` is an object within an object. */
export const UserClientAddEvent = event('user.client-add', {
  client: z.strictObject({
    ...RegisteredClient.omit({ last_active: true }).shape,
    capabilities: z.strictObject({ capabilities: z.array(ClientCapability) }),
  }),
})
export const UserClientRemoveEvent = event('user.client-remove', {
  client: z.strictObject({ id: ClientId }),
})

export const UserPropertiesSetEvent = event('user.properties-set', {
  key: z.string(),
  value: z.unknown(),
})
export const UserPropertiesDeleteEvent = event('user.properties-delete', { key: z.string() })
export const UserPropertiesClearEvent = event('user.properties-clear', {})

export const UserEvent = z.discriminatedUnion('type', [
  UserActivateEvent,
  UserUpdateEvent,
  UserIdentityRemoveEvent,
  UserSuspendEvent,
  UserResumeEvent,
  UserDeleteEvent,
  UserSessionRefreshSuggestedEvent,
  UserConnectionEvent,
  UserClientAddEvent,
  UserClientRemoveEvent,
  UserPropertiesSetEvent,
  UserPropertiesDeleteEvent,
  UserPropertiesClearEvent,
])
/** What goes into a notification's payload. */
export type UserEvent = z.input<typeof UserEvent>
