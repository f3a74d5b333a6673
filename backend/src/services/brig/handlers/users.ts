import type { Handle } from '../../../contract/brig/user-fields.ts'
import { userErrors, type PublicClient, type usersApi } from '../../../contract/brig/users.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import type { Domain, QualifiedUserId, UserId } from '../../../contract/ids.ts'
import { isVisible, profileOf } from '../rules/profile.ts'
import type { ClaimStore } from '../store/claims.ts'
import type { Client, ClientStore } from '../store/clients.ts'
import type { User, UserStore } from '../store/users.ts'

export interface UserHandlersDeps {
  users: Pick<UserStore, 'get' | 'getMany'>
  handles: Pick<ClaimStore, 'find'>
  clients: Pick<ClientStore, 'list' | 'get'>
  domain: Domain
}

export function userHandlers(deps: UserHandlersDeps): Handlers<typeof usersApi> {
  const { users, handles, clients, domain } = deps

  async function requireUser(id: QualifiedUserId): Promise<User> {
    // Users of other backends are unknown until there is federation.
    const user = id.domain === domain ? await users.get(id.id) : undefined
    if (user === undefined || !isVisible(user)) throw new ApiError(kitErrors.notFound)
    return user
  }

  async function getUser({ params }: { params: { domain: Domain; user: UserId } }) {
    const user = await requireUser({ domain: params.domain, id: params.user })
    return { status: 200 as const, body: profileOf(user, domain) }
  }

  async function listUsers({ body }: { body: ListUsersBody }) {
    const ids = body.qualified_ids ?? (await idsOf(body.qualified_handles ?? []))
    const local = ids.filter((id) => id.domain === domain).map(({ id }) => id)
    const failed = ids.filter((id) => id.domain !== domain)
    const found = (await users.getMany(local)).filter(isVisible)
    return {
      status: 200 as const,
      body: {
        found: found.map((user) => profileOf(user, domain)),
        ...(failed.length > 0 && { failed }),
      },
    }
  }

  async function idsOf(wanted: readonly { domain: Domain; handle: Handle }[]) {
    const local = wanted.filter((handle) => handle.domain === domain)
    const found = await Promise.all(local.map(({ handle }) => handles.find(handle)))
    return found.flatMap((user) => (user === undefined ? [] : [{ domain, id: user.id }]))
  }

  async function publicClients(user: UserId): Promise<PublicClient[]> {
    return (await clients.list(user)).clients.map(publicClient)
  }

  return {
    getUserV11: getUser,
    getUser,
    listUsersV11: listUsers,
    listUsers,
    async getSupportedProtocols({ params }) {
      const user = await requireUser({ domain: params.domain, id: params.user })
      return { status: 200, body: user.supportedProtocols }
    },
    async getRichInfo({ caller, params }) {
      const user = await requireUser({ domain, id: params.user })
      const own = await users.get(caller.user)
      if (user.team === undefined || own?.team !== user.team) {
        throw new ApiError(userErrors.insufficientPermissions)
      }
      // Rich info comes with provisioning by SCIM; without it nobody has any.
      return { status: 200, body: { version: 0, fields: [] } }
    },
    async listClientsOfUser({ params }) {
      const isLocal = params.domain === domain
      return { status: 200, body: isLocal ? await publicClients(params.user) : [] }
    },
    async getClientOfUser({ params }) {
      const isLocal = params.domain === domain
      const client = isLocal ? await clients.get(params.user, params.client) : undefined
      if (client === undefined) throw new ApiError(kitErrors.notFound)
      return { status: 200, body: publicClient(client) }
    },
    async listClientsOfUsers({ body }) {
      const local = body.qualified_users.filter((id) => id.domain === domain)
      const found = await Promise.all(
        local.map(async ({ id }) => [id, await publicClients(id)] as const),
      )
      return { status: 200, body: { qualified_user_map: { [domain]: Object.fromEntries(found) } } }
    },
  }
}

interface ListUsersBody {
  qualified_ids?: QualifiedUserId[] | undefined
  qualified_handles?: { domain: Domain; handle: Handle }[] | undefined
}

const publicClient = ({ id, class: clientClass }: Client): PublicClient => ({
  id,
  class: clientClass,
})
