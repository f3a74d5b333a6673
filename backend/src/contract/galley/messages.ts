import { z } from 'zod'
import { decodedBody, endpoint, since } from '../endpoint.ts'
import { ClientId, ConversationId, Domain, Timestamp, UserId } from '../ids.ts'
import { decodeOtrMessage, decodeUnqualifiedOtrMessage } from '../proteus/otr-message.ts'
import { QualifiedConversation } from './conversations.ts'
import { conversationErrors } from './errors.ts'

const limitBytes = 40 * 1024 * 1024
const messageBody = decodedBody({
  types: ['application/x-protobuf'],
  limitBytes,
  decode: decodeOtrMessage,
})
const unqualifiedMessageBody = decodedBody({
  types: ['application/json', 'application/x-protobuf'],
  limitBytes,
  decode: decodeUnqualifiedOtrMessage,
})

const UserClients = z.record(UserId, z.array(ClientId))
const QualifiedUserClients = z.record(Domain, UserClients)

/**
 * How the recipients of a message compare with the devices that should get it (Wire protocol notes
 * §7). 412: devices are missing and nobody got the message. Otherwise everybody named got it who is
 * not listed here.
 */
export const MessageSendingStatus = z.object({
  time: Timestamp,
  missing: QualifiedUserClients,
  redundant: QualifiedUserClients,
  deleted: QualifiedUserClients,
  failed_to_send: QualifiedUserClients,
  failed_to_confirm_clients: QualifiedUserClients,
})
export type MessageSendingStatus = z.infer<typeof MessageSendingStatus>

/** The older form, for users of this backend only. */
export const ClientMismatch = z.object({
  time: Timestamp,
  missing: UserClients,
  redundant: UserClients,
  deleted: UserClients,
})
export type ClientMismatch = z.infer<typeof ClientMismatch>

/** `true` means all, `false` none, else user ids with commas between. */
const MissingFilter = z.union([
  z.enum(['true', 'false']).transform((text) => text === 'true'),
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(UserId)),
])
/** Whose missing devices count; without either all do, and a list in the message goes before both. */
const MissingFilters = z.object({
  ignore_missing: MissingFilter.optional(),
  report_missing: MissingFilter.optional(),
})
export type MissingFilters = z.infer<typeof MissingFilters>

const sendErrors = [conversationErrors.noConversation, conversationErrors.unknownClient] as const
const broadcastErrors = [
  conversationErrors.unknownClient,
  conversationErrors.tooManyToBroadcast,
] as const

export const messagesApi = {
  sendMessage: endpoint({
    method: 'POST',
    path: '/conversations/{domain}/{conversation}/proteus/messages',
    versions: since(0),
    auth: 'user',
    summary: 'Send a Proteus message to the devices in a conversation',
    params: QualifiedConversation,
    body: messageBody,
    responses: { 201: MessageSendingStatus, 412: MessageSendingStatus },
    errors: sendErrors,
  }),
  sendUnqualifiedMessage: endpoint({
    method: 'POST',
    path: '/conversations/{conversation}/otr/messages',
    versions: since(0),
    auth: 'user',
    summary: 'Send a Proteus message, in the older form',
    params: z.object({ conversation: ConversationId }),
    query: MissingFilters,
    body: unqualifiedMessageBody,
    responses: { 201: ClientMismatch, 412: ClientMismatch },
    errors: sendErrors,
  }),
  broadcastMessage: endpoint({
    method: 'POST',
    path: '/broadcast/proteus/messages',
    versions: since(0),
    auth: 'user',
    summary: 'Send a Proteus message to the devices of all contacts',
    body: messageBody,
    responses: { 201: MessageSendingStatus, 412: MessageSendingStatus },
    errors: broadcastErrors,
  }),
  broadcastUnqualifiedMessage: endpoint({
    method: 'POST',
    path: '/broadcast/otr/messages',
    versions: since(0),
    auth: 'user',
    summary: 'Send a Proteus message to all contacts, in the older form',
    query: MissingFilters,
    body: unqualifiedMessageBody,
    responses: { 201: ClientMismatch, 412: ClientMismatch },
    errors: broadcastErrors,
  }),
}
