import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { ClientId, TeamId, UserId } from '../ids.ts'

/** What galley, cargohold and cannon need to know of a user. */
export const UserSummary = z.object({
  id: UserId,
  name: z.string(),
  team: TeamId.optional(),
  status: z.enum(['active', 'suspended', 'deleted', 'ephemeral', 'pending-invitation']),
  type: z.enum(['regular', 'app', 'bot']),
  /** False without a verified address, as guests are. */
  isActivated: z.boolean(),
})
export type UserSummary = z.infer<typeof UserSummary>

export const brigInternalApi = {
  /** Unknown ids are left out. */
  listUserSummaries: endpoint({
    method: 'POST',
    path: '/i/users/summaries',
    versions: since(0),
    auth: 'internal',
    summary: 'Facts about users, by id',
    body: z.object({ users: z.array(UserId) }),
    responses: { 200: z.object({ users: z.array(UserSummary) }) },
    errors: [],
  }),
  /** Of `others`, those with whom `user` has an accepted connection. */
  listConnected: endpoint({
    method: 'POST',
    path: '/i/users/connected',
    versions: since(0),
    auth: 'internal',
    summary: 'Which users are connected to a user',
    body: z.object({ user: UserId, others: z.array(UserId) }),
    responses: { 200: z.object({ connected: z.array(UserId) }) },
    errors: [],
  }),
  /** All accepted contacts, for broadcasts. */
  listContacts: endpoint({
    method: 'POST',
    path: '/i/users/contacts',
    versions: since(0),
    auth: 'internal',
    summary: 'Accepted contacts of a user',
    body: z.object({ user: UserId }),
    responses: { 200: z.object({ contacts: z.array(UserId) }) },
    errors: [],
  }),
  /** `classes` of a device are galley's business nowhere; existence and capabilities are. */
  getClientSummary: endpoint({
    method: 'POST',
    path: '/i/users/client',
    versions: since(0),
    auth: 'internal',
    summary: 'Whether a device exists, and what it can do',
    body: z.object({ user: UserId, client: ClientId }),
    responses: {
      200: z.object({ exists: z.boolean(), isAcknowledging: z.boolean() }),
    },
    errors: [],
  }),
  /** Moves `last_active` of a device; called when it fetches notifications. */
  touchClient: endpoint({
    method: 'POST',
    path: '/i/users/client/active',
    versions: since(0),
    auth: 'internal',
    summary: 'Note that a device was active',
    body: z.object({ user: UserId, client: ClientId, atMs: z.int() }),
    responses: { 200: z.object({}) },
    errors: [],
  }),
}
