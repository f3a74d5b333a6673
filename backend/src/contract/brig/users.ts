import { z } from 'zod'
import { between, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId, Domain, QualifiedUserId, TeamId, Timestamp, UserId } from '../ids.ts'
import { ClientClass } from './clients.ts'
import {
  AccentId,
  BaseProtocol,
  Handle,
  Name,
  Picture,
  TextStatus,
  UserAsset,
  UserType,
} from './user-fields.ts'

/** A user as others see it. Fields without a value are left out, never null. */
export const UserProfile = z.object({
  id: UserId,
  qualified_id: QualifiedUserId,
  name: Name,
  accent_id: AccentId,
  /** Kalium refuses a profile without it: empty rather than absent. */
  assets: z.array(UserAsset),
  picture: Picture,
  text_status: TextStatus.optional(),
  handle: Handle.optional(),
  team: TeamId.optional(),
  supported_protocols: z.array(BaseProtocol),
  legalhold_status: z.enum(['enabled', 'pending', 'disabled', 'no_consent']),
  expires_at: Timestamp.optional(),
  deleted: z.boolean().optional(),
  type: UserType,
  searchable: z.boolean(),
})
export type UserProfile = z.infer<typeof UserProfile>

/** `type` and `searchable` came with version 12. */
const UserProfileV11 = UserProfile.omit({ type: true, searchable: true })

/** A device as others see it. */
export const PublicClient = z.object({ id: ClientId, class: ClientClass.optional() })
export type PublicClient = z.infer<typeof PublicClient>

export const userErrors = errors({
  insufficientPermissions: {
    status: 403,
    label: 'insufficient-permissions',
    message: 'This is only for members of the same team',
  },
})

const params = z.object({ domain: Domain, user: UserId })

const getUser = {
  method: 'GET',
  path: '/users/{domain}/{user}',
  auth: 'user',
  summary: 'The profile of a user',
  params,
  errors: [],
} as const

const listUsers = {
  method: 'POST',
  path: '/list-users',
  auth: 'user',
  summary: 'Profiles of several users, by id or by handle',
  body: z
    .object({
      qualified_ids: z.array(QualifiedUserId).optional(),
      qualified_handles: z
        .array(z.object({ domain: Domain, handle: Handle }))
        .max(4)
        .optional(),
    })
    .refine(
      ({ qualified_ids, qualified_handles }) =>
        (qualified_ids === undefined) !== (qualified_handles === undefined),
      { error: 'either qualified_ids or qualified_handles' },
    ),
  errors: [],
} as const

const listUsersReply = <Profile extends z.ZodType>(profile: Profile) =>
  z.object({
    found: z.array(profile),
    /** Users of backends that cannot be asked; absent when there are none. */
    failed: z.array(QualifiedUserId).min(1).optional(),
  })

export const usersApi = {
  getUserV11: endpoint({
    ...getUser,
    versions: between(0, 11),
    responses: { 200: UserProfileV11 },
  }),
  getUser: endpoint({ ...getUser, versions: since(12), responses: { 200: UserProfile } }),
  listUsersV11: endpoint({
    ...listUsers,
    versions: between(0, 11),
    responses: { 200: listUsersReply(UserProfileV11) },
  }),
  listUsers: endpoint({
    ...listUsers,
    versions: since(12),
    responses: { 200: listUsersReply(UserProfile) },
  }),
  getSupportedProtocols: endpoint({
    method: 'GET',
    path: '/users/{domain}/{user}/supported-protocols',
    versions: since(0),
    auth: 'user',
    summary: 'The protocols that all devices of a user speak',
    params,
    responses: { 200: z.array(BaseProtocol) },
    errors: [],
  }),
  getRichInfo: endpoint({
    method: 'GET',
    path: '/users/{user}/rich-info',
    versions: since(0),
    auth: 'user',
    summary: 'What the organisation says of a member of the same team',
    params: z.object({ user: UserId }),
    responses: {
      200: z.object({
        version: z.int(),
        fields: z.array(z.object({ type: z.string(), value: z.string() })),
      }),
    },
    errors: [userErrors.insufficientPermissions],
  }),
  listClientsOfUser: endpoint({
    method: 'GET',
    path: '/users/{domain}/{user}/clients',
    versions: since(0),
    auth: 'user',
    summary: 'The devices of a user',
    params,
    responses: { 200: z.array(PublicClient) },
    errors: [],
  }),
  getClientOfUser: endpoint({
    method: 'GET',
    path: '/users/{domain}/{user}/clients/{client}',
    versions: since(0),
    auth: 'user',
    summary: 'A device of a user',
    params: z.object({ ...params.shape, client: ClientId }),
    responses: { 200: PublicClient },
    errors: [],
  }),
  listClientsOfUsers: endpoint({
    method: 'POST',
    path: '/users/list-clients',
    versions: since(0),
    auth: 'user',
    summary: 'The devices of several users',
    body: z.object({ qualified_users: z.array(QualifiedUserId).max(500) }),
    responses: {
      200: z.object({
        /** By domain and user; backends that cannot be asked are left out. */
        qualified_user_map: z.record(Domain, z.record(UserId, z.array(PublicClient))),
      }),
    },
    errors: [],
  }),
}
