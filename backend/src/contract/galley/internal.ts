import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { ClientId, ConnectionId, ConversationId, QualifiedConversationId, UserId } from '../ids.ts'

const origin = ConnectionId.optional()

export const galleyInternalApi = {
  /** Called before brig answers the registration: the next send must count this device. */
  addClient: endpoint({
    method: 'PUT',
    path: '/i/clients/{user}/{client}',
    versions: since(0),
    auth: 'internal',
    summary: 'Tell galley of a new device',
    params: z.object({ user: UserId, client: ClientId }),
    responses: { 200: empty },
    errors: [],
  }),
  removeClient: endpoint({
    method: 'DELETE',
    path: '/i/clients/{user}/{client}',
    versions: since(0),
    auth: 'internal',
    summary: 'Tell galley that a device is gone',
    params: z.object({ user: UserId, client: ClientId }),
    responses: { 200: empty },
    errors: [],
  }),
  /** Makes the type 3 conversation of a connection request; the id follows from the two users. */
  createConnectConversation: endpoint({
    method: 'POST',
    path: '/i/conversations/connect',
    versions: since(0),
    auth: 'internal',
    summary: 'Make or find the conversation of a connection request',
    body: z.object({
      from: UserId,
      to: UserId,
      name: z.string().optional(),
      message: z.string().optional(),
      origin,
    }),
    responses: { 200: z.object({ conversation: QualifiedConversationId }) },
    errors: [],
  }),
  /** Type 3 becomes 2 once both are members; sends `conversation.member-join`. */
  acceptConnectConversation: endpoint({
    method: 'PUT',
    path: '/i/conversations/{conversation}/accept',
    versions: since(0),
    auth: 'internal',
    summary: 'Add a user who accepted the connection to its conversation',
    params: z.object({ conversation: ConversationId }),
    body: z.object({ user: UserId, other: UserId, origin }),
    responses: { 200: empty },
    errors: [],
  }),
  blockConnectConversation: endpoint({
    method: 'PUT',
    path: '/i/conversations/{conversation}/block',
    versions: since(0),
    auth: 'internal',
    summary: 'Take a user who blocked or cancelled out of the 1:1 conversation',
    params: z.object({ conversation: ConversationId }),
    body: z.object({ user: UserId }),
    responses: { 200: empty },
    errors: [],
  }),
  unblockConnectConversation: endpoint({
    method: 'PUT',
    path: '/i/conversations/{conversation}/unblock',
    versions: since(0),
    auth: 'internal',
    summary: 'Bring a user who unblocked back into the 1:1 conversation',
    params: z.object({ conversation: ConversationId }),
    body: z.object({ user: UserId, other: UserId, origin }),
    responses: { 200: empty },
    errors: [],
  }),
  /** Sends `conversation.member-leave` with reason `user-deleted` to those who stay. */
  removeUser: endpoint({
    method: 'DELETE',
    path: '/i/users/{user}',
    versions: since(0),
    auth: 'internal',
    summary: 'Take a deleted user out of every conversation and forget their devices',
    params: z.object({ user: UserId }),
    responses: { 200: empty },
    errors: [],
  }),
}
