import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId, Domain, QualifiedUserId, UserId } from '../ids.ts'

export const PrekeyId = z.int().min(0).max(65_535)
/** A key that somebody takes to start a Proteus session; 65535 is the last resort and stays. */
export const Prekey = z.object({
  id: PrekeyId,
  /** Base64 of a Proteus prekey bundle. */
  key: z.string().max(1024),
})

const ClientPrekey = z.object({ client: ClientId, prekey: Prekey })

export const prekeyErrors = errors({
  tooManyUsers: {
    status: 403,
    label: 'too-many-clients',
    message: 'Prekeys of so many users cannot be taken at once',
  },
})

/** As many as a conversation may have. */
export const maxUsersPerPrekeyList = 500

export const prekeysApi = {
  claimPrekeysOfUser: endpoint({
    method: 'GET',
    path: '/users/{domain}/{user}/prekeys',
    versions: since(0),
    auth: 'user',
    summary: 'Take a prekey of each device of a user',
    params: z.object({ domain: Domain, user: UserId }),
    responses: { 200: z.object({ user: UserId, clients: z.array(ClientPrekey) }) },
    errors: [],
  }),
  claimPrekeyOfClient: endpoint({
    method: 'GET',
    path: '/users/{domain}/{user}/prekeys/{client}',
    versions: since(0),
    auth: 'user',
    summary: 'Take a prekey of one device',
    params: z.object({ domain: Domain, user: UserId, client: ClientId }),
    responses: { 200: ClientPrekey },
    errors: [],
  }),
  claimPrekeys: endpoint({
    method: 'POST',
    path: '/users/list-prekeys',
    versions: since(0),
    auth: 'user',
    summary: 'Take a prekey of each device that is named',
    body: z.record(Domain, z.record(UserId, z.array(ClientId))),
    responses: {
      200: z.object({
        /** By domain, user and device; null for a device that does not exist. */
        qualified_user_client_prekeys: z.record(
          Domain,
          z.record(UserId, z.record(ClientId, Prekey.nullable())),
        ),
        /** Users of backends that cannot be asked. */
        failed_to_list: z.array(QualifiedUserId).optional(),
      }),
    },
    errors: [prekeyErrors.tooManyUsers],
  }),
}
