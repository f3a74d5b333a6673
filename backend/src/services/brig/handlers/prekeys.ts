import {
  maxUsersPerPrekeyList,
  prekeyErrors,
  type prekeysApi,
} from '../../../contract/brig/prekeys.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import type { ClientId, Domain, QualifiedUserId, UserId } from '../../../contract/ids.ts'
import type { Prekey } from '../rules/prekey.ts'
import type { ClientStore } from '../store/clients.ts'
import type { PrekeyStore } from '../store/prekeys.ts'

export function prekeyHandlers(deps: {
  clients: Pick<ClientStore, 'list'>
  prekeys: Pick<PrekeyStore, 'claim'>
  domain: Domain
}): Handlers<typeof prekeysApi> {
  const { clients, prekeys, domain } = deps

  /** Undefined for devices that do not exist. */
  async function claimEach(user: UserId, devices: readonly ClientId[]) {
    const unique = [...new Set(devices)]
    return Promise.all(
      unique.map(async (client) => ({ client, prekey: await prekeys.claim(user, client) })),
    )
  }

  return {
    async claimPrekeysOfUser({ params }) {
      if (params.domain !== domain) throw new ApiError(kitErrors.notFound)
      const roster = await clients.list(params.user)
      const claimed = await claimEach(
        params.user,
        roster.clients.map(({ id }) => id),
      )
      const found = claimed.flatMap(({ client, prekey }) => (prekey ? [{ client, prekey }] : []))
      return { status: 200, body: { user: params.user, clients: found } }
    },
    async claimPrekeyOfClient({ params }) {
      const { user, client } = params
      const prekey = params.domain === domain ? await prekeys.claim(user, client) : undefined
      if (prekey === undefined) throw new ApiError(kitErrors.notFound)
      return { status: 200, body: { client, prekey } }
    },
    async claimPrekeys({ body }) {
      const wanted = Object.entries(body).flatMap(([userDomain, users]) =>
        Object.entries(users).map(([user, devices]) => ({
          // Keys of a parsed record have passed its key's schema.
          id: { domain: userDomain, id: user } as QualifiedUserId,
          devices,
        })),
      )
      if (wanted.length > maxUsersPerPrekeyList) throw new ApiError(prekeyErrors.tooManyUsers)

      const claimed: Record<UserId, Record<ClientId, Prekey | null>> = {}
      const failed: QualifiedUserId[] = []
      for (const { id, devices } of wanted) {
        if (id.domain !== domain) {
          failed.push(id)
          continue
        }
        const ofUser = await claimEach(id.id, devices)
        claimed[id.id] = Object.fromEntries(
          ofUser.map(({ client, prekey }) => [client, prekey ?? null]),
        )
      }
      return {
        status: 200,
        body: {
          qualified_user_client_prekeys: { [domain]: claimed },
          ...(failed.length > 0 && { failed_to_list: failed }),
        },
      }
    },
  }
}
