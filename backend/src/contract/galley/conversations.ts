import { z } from 'zod'
import { between, endpoint, since } from '../endpoint.ts'
import { ConversationId, Domain, QualifiedConversationId } from '../ids.ts'
import { QualifiedUserId, TeamId, UserId } from '../ids.ts'
import {
  Access,
  AccessRole,
  AddPermission,
  BaseProtocol,
  Conversation,
  ConversationName,
  ConversationRole,
  ConversationV10,
  ConversationV12,
  GroupConversationType,
  History,
  MessageTimer,
  OwnConversation,
  OwnConversationV12,
  OwnConversationV8,
  ReceiptMode,
} from './conversation-fields.ts'
import { conversationErrors } from './errors.ts'

export const QualifiedConversation = z.object({ domain: Domain, conversation: ConversationId })

/** Backends whose users cannot be reached; the one error body that is not `{code, label, message}`. */
export const UnreachableBackends = z.object({ unreachable_backends: z.array(Domain) })

const TeamReference = z.object({ teamid: TeamId })

const NewConversationV8 = z.object({
  name: ConversationName.nullish(),
  qualified_users: z.array(QualifiedUserId).default([]),
  /** Deprecated: users of this backend. */
  users: z.array(UserId).default([]),
  access: z.array(Access).nullish(),
  access_role: z.array(AccessRole).nullish(),
  team: TeamReference.nullish(),
  message_timer: MessageTimer.nullish(),
  receipt_mode: ReceiptMode.nullish(),
  conversation_role: ConversationRole.default('wire_admin'),
  protocol: BaseProtocol.nullish(),
  group_conv_type: GroupConversationType.nullish(),
  add_permission: AddPermission.nullish(),
  cells: z.boolean().nullish(),
})
const NewConversationV9 = NewConversationV8.extend({ skip_creator: z.boolean().nullish() })
const NewConversationV12 = NewConversationV9.extend({ parent: ConversationId.nullish() })
export const NewConversation = NewConversationV12.extend({ history: History.nullish() })
export type NewConversation = z.infer<typeof NewConversation>

const failedToAdd = { failed_to_add: z.array(QualifiedUserId) }

const create = {
  method: 'POST',
  path: '/conversations',
  auth: 'user',
  summary: 'Create a group conversation',
  errors: [
    conversationErrors.mlsNotEnabled,
    conversationErrors.nonEmptyMemberList,
    conversationErrors.operationDenied,
    conversationErrors.noTeamMember,
    conversationErrors.notConnected,
    conversationErrors.accessDenied,
  ],
} as const

/** Accessing what is not there and what the caller may not see. */
const readErrors = [conversationErrors.noConversation, conversationErrors.accessDenied] as const

const get = {
  method: 'GET',
  path: '/conversations/{domain}/{conversation}',
  auth: 'user',
  summary: 'A conversation and its members',
  params: QualifiedConversation,
  errors: readErrors,
} as const

const list = {
  method: 'POST',
  path: '/conversations/list',
  auth: 'user',
  summary: 'Several conversations of the caller',
  body: z.object({ qualified_ids: z.array(QualifiedConversationId).min(1).max(1000) }),
  errors: [],
} as const
const listed = <C extends z.ZodType>(conversation: C) =>
  z.object({
    found: z.array(conversation),
    /** Those that do not exist and those that the caller is not in. */
    not_found: z.array(QualifiedConversationId),
    /** Those of backends that do not answer. */
    failed: z.array(QualifiedConversationId),
  })

const createSelf = {
  method: 'POST',
  path: '/conversations/self',
  auth: 'user',
  summary: 'Make or find the conversation of the caller with itself',
  errors: [],
} as const

const createOneToOne = {
  method: 'POST',
  path: '/one2one-conversations',
  auth: 'user',
  summary: 'Make or find the conversation of the caller with one other user',
  body: z.object({
    qualified_users: z.array(QualifiedUserId).default([]),
    users: z.array(UserId).default([]),
    name: ConversationName.nullish(),
    team: TeamReference.nullish(),
  }),
  errors: [
    conversationErrors.notConnected,
    conversationErrors.noTeamMember,
    conversationErrors.invalidOperation,
  ],
} as const

export const conversationsApi = {
  createConversationV8: endpoint({
    ...create,
    versions: between(8, 8),
    body: NewConversationV8,
    responses: { 201: OwnConversationV8.extend(failedToAdd), 533: UnreachableBackends },
  }),
  createConversationV9: endpoint({
    ...create,
    versions: between(9, 9),
    body: NewConversationV9,
    responses: { 201: OwnConversationV8.extend(failedToAdd), 533: UnreachableBackends },
  }),
  createConversationV10: endpoint({
    ...create,
    versions: between(10, 11),
    body: NewConversationV9,
    responses: { 201: ConversationV10.extend(failedToAdd), 533: UnreachableBackends },
  }),
  createConversationV12: endpoint({
    ...create,
    versions: between(12, 14),
    body: NewConversationV12,
    responses: { 201: ConversationV12.extend(failedToAdd), 533: UnreachableBackends },
  }),
  createConversation: endpoint({
    ...create,
    versions: since(15),
    body: NewConversation,
    responses: { 201: Conversation.extend(failedToAdd), 533: UnreachableBackends },
    errors: [...create.errors, conversationErrors.historyNotSupported],
  }),

  getConversationV8: endpoint({
    ...get,
    versions: between(8, 9),
    responses: { 200: OwnConversationV8 },
  }),
  getConversationV10: endpoint({
    ...get,
    versions: between(10, 11),
    responses: { 200: ConversationV10 },
  }),
  getConversationV12: endpoint({
    ...get,
    versions: between(12, 14),
    responses: { 200: ConversationV12 },
  }),
  getConversation: endpoint({ ...get, versions: since(15), responses: { 200: Conversation } }),

  listConversationsV8: endpoint({
    ...list,
    versions: between(8, 11),
    responses: { 200: listed(OwnConversationV8) },
  }),
  listConversationsV12: endpoint({
    ...list,
    versions: between(12, 14),
    responses: { 200: listed(OwnConversationV12) },
  }),
  listConversations: endpoint({
    ...list,
    versions: since(15),
    responses: { 200: listed(OwnConversation) },
  }),

  /** In the order of their ids. */
  listConversationIds: endpoint({
    method: 'POST',
    path: '/conversations/list-ids',
    versions: since(0),
    auth: 'user',
    summary: 'The ids of the conversations that the caller is in, page by page',
    body: z
      .object({
        /** As the page before returned it. */
        paging_state: z.string().max(1024).nullish(),
        size: z.int().min(1).max(1000).nullish(),
      })
      .prefault({}),
    responses: {
      200: z.object({
        qualified_conversations: z.array(QualifiedConversationId),
        has_more: z.boolean(),
        paging_state: z.string(),
      }),
    },
    errors: [],
  }),

  createSelfConversationV8: endpoint({
    ...createSelf,
    versions: between(8, 11),
    responses: { 200: OwnConversationV8, 201: OwnConversationV8 },
  }),
  createSelfConversationV12: endpoint({
    ...createSelf,
    versions: between(12, 14),
    responses: { 200: OwnConversationV12, 201: OwnConversationV12 },
  }),
  createSelfConversation: endpoint({
    ...createSelf,
    versions: since(15),
    responses: { 200: OwnConversation, 201: OwnConversation },
  }),

  createOneToOneConversationV8: endpoint({
    ...createOneToOne,
    versions: between(8, 11),
    responses: { 200: OwnConversationV8, 201: OwnConversationV8, 533: UnreachableBackends },
  }),
  createOneToOneConversationV12: endpoint({
    ...createOneToOne,
    versions: between(12, 14),
    responses: { 200: OwnConversationV12, 201: OwnConversationV12, 533: UnreachableBackends },
  }),
  createOneToOneConversation: endpoint({
    ...createOneToOne,
    versions: since(15),
    responses: { 200: OwnConversation, 201: OwnConversation, 533: UnreachableBackends },
  }),
}
