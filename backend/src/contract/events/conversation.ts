import { z } from 'zod'
import {
  Access,
  AccessRole,
  ConversationRole,
  LegacyAccessRole,
  OwnConversationV2,
} from '../galley/conversation-fields.ts'
import {
  ClientId,
  ConversationId,
  QualifiedConversationId,
  QualifiedUserId,
  TeamId,
  Timestamp,
  UserId,
} from '../ids.ts'

/*
 * What galley tells clients (Wire protocol notes §10). Every field that a client may meet is named
 * here; the tests refuse others. These events have one shape in all API versions.
 */
const event = <const Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.strictObject({
    type: z.literal(type),
    conversation: ConversationId,
    qualified_conversation: QualifiedConversationId,
    from: UserId,
    qualified_from: QualifiedUserId,
    via: z.enum(['user', 'scim']),
    team: TeamId.optional(),
    time: Timestamp,
    data,
  })

/** Clients read the access roles from `access_role_v2` here. */
export const ConversationCreateEvent = event('conversation.create', OwnConversationV2.strict())

export const MemberJoinEvent = event(
  'conversation.member-join',
  z.strictObject({
    users: z.array(
      z.strictObject({
        id: UserId,
        qualified_id: QualifiedUserId,
        conversation_role: ConversationRole,
      }),
    ),
    user_ids: z.array(UserId),
    add_type: z.enum(['internal_add', 'external_add']),
  }),
)
export type MemberJoinEvent = z.infer<typeof MemberJoinEvent>

export const LeaveReason = z.enum(['left', 'removed', 'user-deleted'])
export type LeaveReason = z.infer<typeof LeaveReason>
export const MemberLeaveEvent = event(
  'conversation.member-leave',
  z.strictObject({
    reason: LeaveReason,
    user_ids: z.array(UserId),
    qualified_user_ids: z.array(QualifiedUserId),
  }),
)
export type MemberLeaveEvent = z.infer<typeof MemberLeaveEvent>

/** A new role for all to see, or a member's own settings for its other devices. */
export const MemberUpdateEvent = event(
  'conversation.member-update',
  z.strictObject({
    target: UserId,
    qualified_target: QualifiedUserId,
    conversation_role: ConversationRole.optional(),
    otr_muted_status: z.int32().optional(),
    otr_muted_ref: z.string().optional(),
    otr_archived: z.boolean().optional(),
    otr_archived_ref: z.string().optional(),
    hidden: z.boolean().optional(),
    hidden_ref: z.string().optional(),
  }),
)
export type MemberUpdateEvent = z.infer<typeof MemberUpdateEvent>

export const RenameEvent = event('conversation.rename', z.strictObject({ name: z.string() }))
export type RenameEvent = z.infer<typeof RenameEvent>

export const MessageTimerUpdateEvent = event(
  'conversation.message-timer-update',
  z.strictObject({ message_timer: z.int().nullable() }),
)
export type MessageTimerUpdateEvent = z.infer<typeof MessageTimerUpdateEvent>

export const ReceiptModeUpdateEvent = event(
  'conversation.receipt-mode-update',
  z.strictObject({ receipt_mode: z.int32() }),
)
export type ReceiptModeUpdateEvent = z.infer<typeof ReceiptModeUpdateEvent>

export const AccessUpdateEvent = event(
  'conversation.access-update',
  z.strictObject({
    access: z.array(Access),
    access_role: LegacyAccessRole,
    access_role_v2: z.array(AccessRole),
  }),
)
export type AccessUpdateEvent = z.infer<typeof AccessUpdateEvent>

/** A guest link: `uri` leads to a page that asks the app to join. */
export const ConversationCodeInfo = z.strictObject({
  key: z.string(),
  code: z.string(),
  uri: z.url(),
  has_password: z.boolean(),
})
export type ConversationCodeInfo = z.infer<typeof ConversationCodeInfo>
export const CodeUpdateEvent = event('conversation.code-update', ConversationCodeInfo)
export const CodeDeleteEvent = event('conversation.code-delete', z.null())

export const ConnectRequestEvent = event(
  'conversation.connect-request',
  z.strictObject({
    recipient: UserId,
    qualified_recipient: QualifiedUserId,
    message: z.string().nullable(),
    name: z.string().nullable(),
    email: z.string().nullable(),
  }),
)

/** Transient: seen on live sockets only. */
export const TypingEvent = event(
  'conversation.typing',
  z.strictObject({ status: z.enum(['started', 'stopped']) }),
)

/** A Proteus message for one device. `data` is shared by all recipients; both are base64. */
export const OtrMessageAddEvent = event(
  'conversation.otr-message-add',
  z.strictObject({
    sender: ClientId,
    recipient: ClientId,
    text: z.string(),
    data: z.string().optional(),
  }),
)

export const ConversationEvent = z.discriminatedUnion('type', [
  ConversationCreateEvent,
  MemberJoinEvent,
  MemberLeaveEvent,
  MemberUpdateEvent,
  RenameEvent,
  MessageTimerUpdateEvent,
  ReceiptModeUpdateEvent,
  AccessUpdateEvent,
  CodeUpdateEvent,
  CodeDeleteEvent,
  ConnectRequestEvent,
  TypingEvent,
  OtrMessageAddEvent,
])
/** What a client finds in a notification's payload. */
export type ConversationEvent = z.infer<typeof ConversationEvent>
