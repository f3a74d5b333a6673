import type { brigInternalApi } from '../../../contract/brig/internal.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { isAcknowledging } from '../client-lifecycle.ts'
import { summaryOf } from '../rules/profile.ts'
import type { ClientStore } from '../store/clients.ts'
import type { ConnectionStore } from '../store/connections.ts'
import type { UserStore } from '../store/users.ts'

export function internalHandlers(deps: {
  users: Pick<UserStore, 'getMany'>
  clients: Pick<ClientStore, 'get' | 'touch'>
  connections: Pick<ConnectionStore, 'get' | 'listByStatus'>
}): Handlers<typeof brigInternalApi> {
  const { users, clients, connections } = deps
  return {
    async listUserSummaries({ body }) {
      const found = await users.getMany(body.users)
      return { status: 200, body: { users: found.map(summaryOf) } }
    },
    async listConnected({ body: { user, others } }) {
      const found = await Promise.all(others.map((other) => connections.get(user, other)))
      const connected = found.flatMap((connection) =>
        connection?.own.status === 'accepted' ? [connection.peer.user] : [],
      )
      return { status: 200, body: { connected } }
    },
    async listContacts({ body }) {
      const accepted = await connections.listByStatus(body.user, ['accepted'])
      return { status: 200, body: { contacts: accepted.map(({ peer }) => peer.user) } }
    },
    async getClientSummary({ body }) {
      const client = await clients.get(body.user, body.client)
      return {
        status: 200,
        body: {
          exists: client !== undefined,
          isAcknowledging: client !== undefined && isAcknowledging(client.capabilities),
        },
      }
    },
    async touchClient({ body: { user, client, atMs } }) {
      const isKnown = (await clients.get(user, client)) !== undefined
      if (isKnown) await clients.touch(user, client, atMs)
      return { status: 200, body: {} }
    },
  }
}
