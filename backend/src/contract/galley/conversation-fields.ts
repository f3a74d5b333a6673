import { z } from 'zod'
import { ConversationId, QualifiedConversationId, QualifiedUserId, TeamId, UserId } from '../ids.ts'

/*
 * The parts that conversations are made of, shared by requests, views and events (Wire protocol
 * notes §9.1).
 */

/** The numbers on the wire. */
export const conversationTypes = { group: 0, self: 1, oneToOne: 2, connect: 3 } as const
export const ConversationType = z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)])
export type ConversationType = z.infer<typeof ConversationType>

/** How users may come in: invited by a member, or with a guest link. */
export const Access = z.enum(['private', 'invite', 'link', 'code'])
export type Access = z.infer<typeof Access>

/** Who may be in. */
export const AccessRole = z.enum(['team_member', 'non_team_member', 'guest', 'service'])
export type AccessRole = z.infer<typeof AccessRole>

/** What `AccessRole` replaced; it lives on in events. */
export const LegacyAccessRole = z.enum(['private', 'team', 'activated', 'non_activated'])
export type LegacyAccessRole = z.infer<typeof LegacyAccessRole>

/** The two roles that exist. Others are reserved for an extension that no server has. */
export const ConversationRole = z.enum(['wire_admin', 'wire_member'])
export type ConversationRole = z.infer<typeof ConversationRole>

export const Action = z.enum([
  'add_conversation_member',
  'remove_conversation_member',
  'modify_conversation_name',
  'modify_conversation_message_timer',
  'modify_conversation_receipt_mode',
  'modify_conversation_access',
  'modify_other_conversation_member',
  'leave_conversation',
  'delete_conversation',
  'modify_add_permission',
])
export type Action = z.infer<typeof Action>

export const Protocol = z.enum(['proteus', 'mls', 'mixed'])
export type Protocol = z.infer<typeof Protocol>
export const BaseProtocol = z.enum(['proteus', 'mls'])
export const CellsState = z.enum(['disabled', 'pending', 'ready'])
export type CellsState = z.infer<typeof CellsState>
export const AddPermission = z.enum(['admins', 'everyone'])
export const GroupConversationType = z.enum(['group_conversation', 'channel', 'meeting'])

/** Code points: what other clients count, not UTF-16 units. */
export const ConversationName = z.string().refine(
  (text) => {
    const { length } = [...text]
    return length >= 1 && length <= 256
  },
  { error: 'must have 1 to 256 characters' },
)

/** Milliseconds until a message vanishes; clients enforce it. */
export const MessageTimer = z.int()
/** Stored and handed on; clients give it meaning. */
export const ReceiptMode = z.int32()
/** How much of the past newcomers may see; absent or null means nothing. */
export const History = z.object({ depth: z.string().regex(/^(infinite|[0-9]{1,18})$/) })

/** The caller's own membership, with what the member keeps there for its other devices. */
export const SelfMember = z.object({
  qualified_id: QualifiedUserId,
  id: UserId,
  conversation_role: ConversationRole,
  service: z.null(),
  status: z.literal(0),
  status_ref: z.literal('0.0'),
  status_time: z.literal('1970-01-01T00:00:00.000Z'),
  otr_muted_status: z.int32().nullable(),
  otr_muted_ref: z.string().nullable(),
  otr_archived: z.boolean(),
  otr_archived_ref: z.string().nullable(),
  hidden: z.boolean(),
  hidden_ref: z.string().nullable(),
})
export type SelfMember = z.infer<typeof SelfMember>

export const OtherMember = z.object({
  qualified_id: QualifiedUserId,
  id: UserId,
  conversation_role: ConversationRole,
  status: z.literal(0),
})
export type OtherMember = z.infer<typeof OtherMember>

/** Absent values are null: clients rely on these keys. */
const conversation = {
  qualified_id: QualifiedConversationId,
  type: ConversationType,
  creator: UserId.nullable(),
  access: z.array(Access),
  access_role: z.array(AccessRole),
  name: z.string().nullable(),
  team: TeamId.nullable(),
  message_timer: z.int().nullable(),
  receipt_mode: z.int32().nullable(),
  group_conv_type: GroupConversationType.nullable(),
  add_permission: AddPermission.nullable(),
  cells_state: CellsState,
  last_event: z.literal('0.0'),
  last_event_time: z.literal('1970-01-01T00:00:00.000Z'),
  protocol: Protocol,
}
const sinceV12 = { parent: ConversationId.nullable() }
const sinceV15 = { ...sinceV12, history: History.nullable() }

/*
 * Two views. The own view is from before version 10, where it was the only one: it repeats the id
 * and always holds the caller's membership. A reply keeps what its schema names, so a handler
 * returns the newest shape and an older declaration drops what came later.
 */
const members = z.object({ self: SelfMember.optional(), others: z.array(OtherMember) })
export const ConversationV10 = z.object({ ...conversation, members })
export const ConversationV12 = ConversationV10.extend(sinceV12)
export const Conversation = ConversationV10.extend(sinceV15)
export type Conversation = z.infer<typeof Conversation>

const own = {
  id: ConversationId,
  members: z.object({ self: SelfMember, others: z.array(OtherMember) }),
}
export const OwnConversationV8 = z.object({ ...conversation, ...own })
export const OwnConversationV12 = OwnConversationV8.extend(sinceV12)
export const OwnConversation = OwnConversationV8.extend(sinceV15)
export type OwnConversation = z.infer<typeof OwnConversation>

/** As events still have it: the own view of version 2. */
export const OwnConversationV2 = OwnConversation.extend({
  access_role: LegacyAccessRole,
  access_role_v2: z.array(AccessRole),
})

/** What a member changes about its own membership; null counts as absent. */
export const MemberPreferences = z.object({
  otr_muted_status: z.int32().nullish(),
  otr_muted_ref: z.string().nullish(),
  otr_archived: z.boolean().nullish(),
  otr_archived_ref: z.string().nullish(),
  hidden: z.boolean().nullish(),
  hidden_ref: z.string().nullish(),
})
export type MemberPreferences = z.infer<typeof MemberPreferences>
