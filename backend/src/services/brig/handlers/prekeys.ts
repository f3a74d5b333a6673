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

  /** A key of each device that exists; of those in `only`, where that is given. */
  async function claimEach(user: UserId, only?: readonly ClientId[]) {
    const wanted = new Set(only)
    const { clients: existing } = await clients.list(user)
    const claimed = await Promise.all(
      existing
        .filter(({ id }) => only === undefined || wanted.has(id))
        .map(async ({ id }) => ({ client: id, prekey: await prekeys.claim(user, id) })),
    )
    // A device that is being removed has lost its keys already.
    return claimed.flatMap(({ client, prekey }) => (prekey ? [{ client, prekey }] : []))
  }

  return {
    async claimPrekeysOfUser({ params }) {
      if (params.domain !== domain) throw new ApiError(kitErrors.notFound)
      const claimed = await claimEach(params.user)
      return { status: 200, body: { user: params.user, clients: claimed } }
    },
    async claimPrekeyOfClient({ params }) {
      const { user, client } = params
      const [claimed] = params.domain === domain ? await claimEach(user, [client]) : []
      if (claimed === undefined) throw new ApiError(kitErrors.notFound)
      return { status: 200, body: claimed }
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
        const ofUser: Record<ClientId, Prekey | null> = {}
        for (const client of devices) ofUser[client] = null
        for (const { client, prekey } of await claimEach(id.id, devices)) ofUser[client] = prekey
        claimed[id.id] = ofUser
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
