import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import {
  ConversationId,
  Domain,
  QualifiedConversationId,
  QualifiedUserId,
  Timestamp,
  UserId,
} from '../ids.ts'

export const ConnectionStatus = z.enum([
  'accepted',
  'blocked',
  'pending',
  'ignored',
  'sent',
  'cancelled',
  'missing-legalhold-consent',
])
export type ConnectionStatus = z.infer<typeof ConnectionStatus>

/** One side of a connection: `from` is whose view it is. */
export const Connection = z.object({
  from: UserId,
  to: UserId,
  qualified_to: QualifiedUserId,
  status: ConnectionStatus,
  last_update: Timestamp,
  conversation: ConversationId.optional(),
  qualified_conversation: QualifiedConversationId.optional(),
})
export type Connection = z.infer<typeof Connection>

export const connectionErrors = errors({
  invalidUser: {
    status: 400,
    label: 'invalid-user',
    message: 'One cannot connect to this user',
  },
  noIdentity: {
    status: 403,
    label: 'no-identity',
    message: 'Verify your e-mail address first',
  },
  sameTeam: {
    status: 403,
    label: 'same-binding-team-users',
    message: 'Members of one team need no connection',
  },
  limit: {
    status: 403,
    label: 'connection-limit',
    message: 'There are as many connections as one user may have',
  },
  badUpdate: {
    status: 403,
    label: 'bad-conn-update',
    message: 'The connection cannot take that status now',
  },
  notConnected: {
    status: 403,
    label: 'not-connected',
    message: 'There is no connection between the users',
  },
})

const params = z.object({ domain: Domain, user: UserId })

export const connectionsApi = {
  /** 200: there was one, and the call may have moved it. */
  createConnection: endpoint({
    method: 'POST',
    path: '/connections/{domain}/{user}',
    versions: since(0),
    auth: 'user',
    summary: 'Ask a user for a connection',
    params,
    responses: { 200: Connection, 201: Connection },
    errors: [
      connectionErrors.invalidUser,
      connectionErrors.noIdentity,
      connectionErrors.sameTeam,
      connectionErrors.limit,
      connectionErrors.badUpdate,
    ],
  }),
  updateConnection: endpoint({
    method: 'PUT',
    path: '/connections/{domain}/{user}',
    versions: since(0),
    auth: 'user',
    summary: 'Accept, ignore, block, unblock or cancel a connection',
    params,
    body: z.object({ status: ConnectionStatus }),
    responses: { 200: Connection, 204: empty },
    errors: [connectionErrors.notConnected, connectionErrors.badUpdate, connectionErrors.limit],
  }),
  getConnection: endpoint({
    method: 'GET',
    path: '/connections/{domain}/{user}',
    versions: since(0),
    auth: 'user',
    summary: 'The connection with a user',
    params,
    responses: { 200: Connection },
    errors: [],
  }),
  listConnections: endpoint({
    method: 'POST',
    path: '/list-connections',
    versions: since(0),
    auth: 'user',
    summary: 'All connections of the caller, page by page',
    body: z
      .object({
        /** As the page before gave it; none for the first page. */
        paging_state: z.string().max(256).optional(),
        size: z.int().min(1).max(500).default(100),
      })
      .prefault({}),
    responses: {
      200: z.object({
        connections: z.array(Connection),
        has_more: z.boolean(),
        paging_state: z.string(),
      }),
    },
    errors: [],
  }),
}
