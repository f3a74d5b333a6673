import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import {
  AccessUpdateEvent,
  MessageTimerUpdateEvent,
  ReceiptModeUpdateEvent,
  RenameEvent,
} from '../events/conversation.ts'
import {
  Access,
  AccessRole,
  ConversationName,
  MessageTimer,
  ReceiptMode,
} from './conversation-fields.ts'
import { QualifiedConversation } from './conversations.ts'
import { conversationErrors } from './errors.ts'

const changeErrors = [
  conversationErrors.noConversation,
  conversationErrors.actionDenied,
  conversationErrors.invalidOperation,
] as const

/** Each answers with the event that the other members get, or 204 if nothing changed. */
export const conversationSettingsApi = {
  rename: endpoint({
    method: 'PUT',
    path: '/conversations/{domain}/{conversation}/name',
    versions: since(0),
    auth: 'user',
    summary: 'Rename a group',
    params: QualifiedConversation,
    body: z.object({ name: ConversationName }),
    responses: { 200: RenameEvent, 204: empty },
    errors: changeErrors,
  }),
  setMessageTimer: endpoint({
    method: 'PUT',
    path: '/conversations/{domain}/{conversation}/message-timer',
    versions: since(0),
    auth: 'user',
    summary: 'Let messages of a group vanish after a while',
    params: QualifiedConversation,
    body: z.object({ message_timer: MessageTimer.nullish() }).prefault({}),
    responses: { 200: MessageTimerUpdateEvent, 204: empty },
    errors: changeErrors,
  }),
  setReceiptMode: endpoint({
    method: 'PUT',
    path: '/conversations/{domain}/{conversation}/receipt-mode',
    versions: since(0),
    auth: 'user',
    summary: 'Say whether members of a group confirm that they have read',
    params: QualifiedConversation,
    body: z.object({ receipt_mode: ReceiptMode }),
    responses: { 200: ReceiptModeUpdateEvent, 204: empty },
    errors: changeErrors,
  }),
  setAccess: endpoint({
    method: 'PUT',
    path: '/conversations/{domain}/{conversation}/access',
    versions: since(0),
    auth: 'user',
    summary: 'Say who may be in a group and how they come in',
    params: QualifiedConversation,
    body: z.object({ access: z.array(Access), access_role: z.array(AccessRole) }),
    responses: { 200: AccessUpdateEvent, 204: empty },
    errors: changeErrors,
  }),
}
