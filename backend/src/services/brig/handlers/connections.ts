import { connectionErrors, type connectionsApi } from '../../../contract/brig/connections.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import { connectionInApi, type ConnectionFlow } from '../connection-flow.ts'
import { formatPagingState, parsePagingState } from '../rules/paging-state.ts'
import type { ConnectionStore } from '../store/connections.ts'
import type { User, UserStore } from '../store/users.ts'

export function connectionHandlers(deps: {
  users: Pick<UserStore, 'get'>
  connections: ConnectionStore
  flow: ConnectionFlow
  domain: Domain
}): Handlers<typeof connectionsApi> {
  const { users, connections, flow, domain } = deps

  async function requireConnectable(own: UserId, other: { domain: Domain; user: UserId }) {
    if (other.domain !== domain || other.user === own) {
      throw new ApiError(connectionErrors.invalidUser)
    }
    const [user, peer] = await Promise.all([users.get(own), users.get(other.user)])
    if (user === undefined || !hasIdentity(user)) throw new ApiError(connectionErrors.noIdentity)
    if (peer === undefined || !hasIdentity(peer)) throw new ApiError(connectionErrors.invalidUser)
    if (user.team !== undefined && user.team === peer.team) {
      throw new ApiError(connectionErrors.sameTeam)
    }
    if (user.type !== 'regular' || peer.type !== 'regular') {
      throw new ApiError(connectionErrors.invalidUser)
    }
  }

  return {
    async createConnection({ caller, params }) {
      await requireConnectable(caller.user, params)
      const { connection, isNew } = await flow.request(caller, params.user)
      return { status: isNew ? 201 : 200, body: connectionInApi(connection, domain) }
    },
    async updateConnection({ caller, params, body }) {
      if (params.domain !== domain) throw new ApiError(connectionErrors.notConnected)
      const connection = await flow.change(caller, params.user, body.status)
      return connection === undefined
        ? { status: 204 }
        : { status: 200, body: connectionInApi(connection, domain) }
    },
    async getConnection({ caller, params }) {
      const isLocal = params.domain === domain
      const connection = isLocal ? await connections.get(caller.user, params.user) : undefined
      if (connection === undefined) throw new ApiError(kitErrors.notFound)
      return { status: 200, body: connectionInApi(connection, domain) }
    },
    async listConnections({ caller, body }) {
      const after =
        body.paging_state === undefined ? undefined : parsePagingState(body.paging_state)
      if (after === 'malformed') {
        throw new ApiError(kitErrors.badRequest, { message: 'The paging state is not valid' })
      }
      const page = await connections.list(caller.user, { after, limit: body.size })
      return {
        status: 200,
        body: {
          connections: page.connections.map((connection) => connectionInApi(connection, domain)),
          has_more: page.hasMore,
          paging_state: formatPagingState(page.last ?? after),
        },
      }
    },
  }
}

/** Guests and those whose address is not verified are nobody whom one could know. */
const hasIdentity = (user: User): boolean =>
  user.isActivated && (user.status === 'active' || user.status === 'suspended')
