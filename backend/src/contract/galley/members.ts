import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { MemberJoinEvent, MemberLeaveEvent } from '../events/conversation.ts'
import { ConversationId, Domain, QualifiedUserId, UserId } from '../ids.ts'
import { Action, ConversationRole, MemberPreferences, SelfMember } from './conversation-fields.ts'
import { QualifiedConversation, UnreachableBackends } from './conversations.ts'
import { conversationErrors } from './errors.ts'

const membersPath = '/conversations/{domain}/{conversation}/members'
const memberPath = `${membersPath}/{userDomain}/{user}`
const selfPath = '/conversations/{domain}/{conversation}/self'

const MemberParams = QualifiedConversation.extend({ userDomain: Domain, user: UserId })

const MemberList = z.object({
  qualified_users: z.array(QualifiedUserId).min(1),
  conversation_role: ConversationRole.default('wire_admin'),
})

const addErrors = [
  conversationErrors.noConversation,
  conversationErrors.actionDenied,
  conversationErrors.invalidOperation,
  conversationErrors.accessDenied,
  conversationErrors.notConnected,
  conversationErrors.noTeamMember,
  conversationErrors.tooManyMembers,
] as const

export const membersApi = {
  addMembers: endpoint({
    method: 'POST',
    path: membersPath,
    versions: since(0),
    auth: 'user',
    summary: 'Add users to a group',
    params: QualifiedConversation,
    body: MemberList,
    /** 204: all of them were in already. */
    responses: { 200: MemberJoinEvent, 204: empty, 533: UnreachableBackends },
    errors: addErrors,
  }),
  replaceMembers: endpoint({
    method: 'PUT',
    path: membersPath,
    versions: since(13),
    auth: 'user',
    summary: 'Make these users the only members of a group',
    params: QualifiedConversation,
    body: MemberList,
    responses: { 200: empty, 533: UnreachableBackends },
    errors: addErrors,
  }),
  removeMember: endpoint({
    method: 'DELETE',
    path: memberPath,
    versions: since(0),
    auth: 'user',
    summary: 'Take a user out of a group, or leave it',
    params: MemberParams,
    /** 204: the user was not in. */
    responses: { 200: MemberLeaveEvent, 204: empty },
    errors: [
      conversationErrors.noConversation,
      conversationErrors.actionDenied,
      conversationErrors.invalidOperation,
    ],
  }),
  updateMember: endpoint({
    method: 'PUT',
    path: memberPath,
    versions: since(0),
    auth: 'user',
    summary: 'Give another member a role',
    params: MemberParams,
    body: z.object({ conversation_role: ConversationRole }),
    responses: { 200: empty },
    errors: [
      conversationErrors.noConversation,
      conversationErrors.noMember,
      conversationErrors.actionDenied,
      conversationErrors.invalidOperation,
    ],
  }),

  getSelf: endpoint({
    method: 'GET',
    path: selfPath,
    versions: since(9),
    auth: 'user',
    summary: 'The caller’s own membership',
    params: QualifiedConversation,
    responses: { 200: SelfMember },
    errors: [conversationErrors.noConversation],
  }),
  updateSelf: endpoint({
    method: 'PUT',
    path: selfPath,
    versions: since(0),
    auth: 'user',
    summary: 'Mute, archive or hide a conversation for the caller’s devices',
    params: QualifiedConversation,
    body: MemberPreferences.refine(
      (preferences) => Object.values(preferences).some((value) => value !== null),
      { error: 'names nothing to change' },
    ),
    responses: { 200: empty },
    errors: [conversationErrors.noConversation],
  }),

  listRoles: endpoint({
    method: 'GET',
    path: '/conversations/{conversation}/roles',
    versions: since(0),
    auth: 'user',
    summary: 'The roles that members can have, and what each may do',
    params: z.object({ conversation: ConversationId }),
    responses: {
      200: z.object({
        conversation_roles: z.array(
          z.object({ conversation_role: ConversationRole, actions: z.array(Action) }),
        ),
      }),
    },
    errors: [conversationErrors.noConversation, conversationErrors.accessDenied],
  }),
}
