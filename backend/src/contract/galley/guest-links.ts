import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import {
  CodeDeleteEvent,
  CodeUpdateEvent,
  ConversationCodeInfo,
  MemberJoinEvent,
} from '../events/conversation.ts'
import { ConversationId } from '../ids.ts'
import { conversationErrors } from './errors.ts'
import { Feature } from './features.ts'

const codePath = '/conversations/{conversation}/code'
const CodeParams = z.object({ conversation: ConversationId })

const Password = z.string().min(8).max(1024)
/** A key names the conversation and stays; the code is what makes the link secret. */
const Code = z.object({ key: z.string().max(64), code: z.string().max(64) })

export const guestLinksApi = {
  createCode: endpoint({
    method: 'POST',
    path: codePath,
    versions: since(0),
    auth: 'user',
    summary: 'Make a guest link',
    params: CodeParams,
    body: z.object({ password: Password.nullish() }).prefault({}),
    /** 200: there was one already, and neither has a password. */
    responses: { 200: ConversationCodeInfo, 201: CodeUpdateEvent },
    errors: [
      conversationErrors.noConversation,
      conversationErrors.accessDenied,
      conversationErrors.codeConflict,
      conversationErrors.guestLinksDisabled,
    ],
  }),
  getCode: endpoint({
    method: 'GET',
    path: codePath,
    versions: since(0),
    auth: 'user',
    summary: 'The guest link of a conversation',
    params: CodeParams,
    responses: { 200: ConversationCodeInfo },
    errors: [
      conversationErrors.noConversation,
      conversationErrors.noCode,
      conversationErrors.accessDenied,
      conversationErrors.guestLinksDisabled,
    ],
  }),
  deleteCode: endpoint({
    method: 'DELETE',
    path: codePath,
    versions: since(0),
    auth: 'user',
    summary: 'Revoke the guest link of a conversation',
    params: CodeParams,
    responses: { 200: CodeDeleteEvent },
    errors: [conversationErrors.noConversation, conversationErrors.accessDenied],
  }),
  checkCode: endpoint({
    method: 'POST',
    path: '/conversations/code-check',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Whether a guest link is valid; without a token',
    body: Code,
    responses: { 200: empty },
    errors: [conversationErrors.noCode],
  }),
  getJoin: endpoint({
    method: 'GET',
    path: '/conversations/join',
    versions: since(0),
    auth: 'user',
    summary: 'What a guest link leads to',
    query: Code,
    responses: {
      200: z.object({
        id: ConversationId,
        name: z.string().optional(),
        has_password: z.boolean(),
      }),
    },
    errors: [
      conversationErrors.noCode,
      conversationErrors.noConversation,
      conversationErrors.accessDenied,
      conversationErrors.noTeamMember,
      conversationErrors.guestLinksDisabled,
    ],
  }),
  join: endpoint({
    method: 'POST',
    path: '/conversations/join',
    versions: since(0),
    auth: 'user',
    rateZone: 'codes',
    summary: 'Come in by a guest link',
    body: Code.extend({ password: Password.nullish() }),
    /** 204: the caller was in already. */
    responses: { 200: MemberJoinEvent, 204: empty },
    errors: [
      conversationErrors.noCode,
      conversationErrors.noConversation,
      conversationErrors.accessDenied,
      conversationErrors.noTeamMember,
      conversationErrors.invalidOperation,
      conversationErrors.invalidPassword,
      conversationErrors.tooManyMembers,
      conversationErrors.guestLinksDisabled,
    ],
  }),
  getGuestLinksFeature: endpoint({
    method: 'GET',
    path: '/conversations/{conversation}/features/conversationGuestLinks',
    versions: since(0),
    auth: 'user',
    summary: 'Whether a conversation may have a guest link',
    params: CodeParams,
    responses: { 200: Feature },
    errors: [conversationErrors.noConversation, conversationErrors.accessDenied],
  }),
}
