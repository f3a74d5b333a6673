import { callsApi } from '../../contract/brig/calls.ts'
import { clientsApi } from '../../contract/brig/clients.ts'
import { connectionsApi } from '../../contract/brig/connections.ts'
import { brigInternalApi } from '../../contract/brig/internal.ts'
import { prekeysApi } from '../../contract/brig/prekeys.ts'
import { propertiesApi } from '../../contract/brig/properties.ts'
import { searchApi } from '../../contract/brig/search.ts'
import { usersApi } from '../../contract/brig/users.ts'
import type { Client } from '../../contract/endpoint.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import type { inboxApi } from '../../contract/gundeck/internal.ts'
import type { Domain } from '../../contract/ids.ts'
import { routes, type Route } from '../../platform/http/routes.ts'
import type { Platform } from '../../platform/service.ts'
import type { UserSearch } from '../../ports/search.ts'
import type { AnyTable, WideColumnStore } from '../../ports/wide-column.ts'
import { clientLifecycle } from './client-lifecycle.ts'
import { connectionFlow } from './connection-flow.ts'
import type { UserEvents } from './events.ts'
import type { Accounts, People } from './halves.ts'
import { callHandlers } from './handlers/calls.ts'
import { clientHandlers } from './handlers/clients.ts'
import { connectionHandlers } from './handlers/connections.ts'
import { internalHandlers } from './handlers/internal.ts'
import { prekeyHandlers } from './handlers/prekeys.ts'
import { propertyHandlers } from './handlers/properties.ts'
import { searchHandlers } from './handlers/search.ts'
import { userHandlers } from './handlers/users.ts'
import type { PeopleConfig } from './people-config.ts'
import type { ClaimStore } from './store/claims.ts'
import { clientNonceStore, clientNoncesTable } from './store/client-nonces.ts'
import { clientActivityTable, clientStore, clientsTable } from './store/clients.ts'
import { connectionListsTable, connectionsTable, connectionStore } from './store/connections.ts'
import { prekeysTable, prekeyStore } from './store/prekeys.ts'
import { propertiesTable, propertyStore } from './store/properties.ts'
import { searchIndex } from './store/search-index.ts'
import type { UserStore } from './store/users.ts'
import type { Turn } from './turn.ts'

/** Devices, connections, search, properties and calls: all of brig that is about other people. */

export const peopleTables: readonly AnyTable[] = [
  clientsTable,
  clientActivityTable,
  clientNoncesTable,
  prekeysTable,
  connectionsTable,
  connectionListsTable,
  propertiesTable,
]

export interface PeopleDeps {
  config: PeopleConfig
  domain: Domain
  platform: Platform
  db: WideColumnStore
  search: UserSearch
  users: UserStore
  events: UserEvents
  galley: Client<typeof galleyInternalApi>
}

export interface PeopleRoutesDeps extends PeopleDeps {
  /** The claims of handles, which the accounts keep. */
  handles: Pick<ClaimStore, 'find'>
  accounts: Accounts
  gundeck: Client<typeof inboxApi>
  turn: Turn | undefined
}

/** What the accounts ask of this half. */
export function peopleFor(deps: PeopleDeps): People {
  const { db, search, platform } = deps
  const clients = clientStore(db)
  const prekeys = prekeyStore(db, platform.ids)
  const connections = connectionStore(db)
  const properties = propertyStore(db)
  const index = searchIndex({ search, log: platform.log })
  const flow = connectionFlow({
    ...deps,
    clock: platform.clock,
    connections,
    maxConnections: deps.config.maxConnections,
  })
  return {
    hasClient: async (user, client) => (await clients.get(user, client)) !== undefined,
    async listContacts(user) {
      const accepted = await connections.listByStatus(user, ['accepted'])
      return accepted.map(({ peer }) => peer.user)
    },
    index: (user) => index.index(user),
    async forget(user) {
      await flow.forget(user)
      for (const client of (await clients.list(user)).clients) {
        await prekeys.removeAll(user, client.id)
      }
      await clients.removeAll(user)
      await properties.removeAll(user)
    },
  }
}

export function peopleRoutes(deps: PeopleRoutesDeps): Route[] {
  const { config, db, platform } = deps
  const { clock, ids } = platform
  const stores = {
    clients: clientStore(db),
    prekeys: prekeyStore(db, ids),
    nonces: clientNonceStore(db),
    connections: connectionStore(db),
    properties: propertyStore(db),
  }
  const all = { ...deps, ...stores, clock, ids }
  const lifecycle = clientLifecycle({ ...all, maxPermanentClients: config.maxPermanentClients })
  const flow = connectionFlow({ ...all, maxConnections: config.maxConnections })
  return [
    ...routes(clientsApi, clientHandlers({ ...all, lifecycle })),
    ...routes(prekeysApi, prekeyHandlers(all)),
    ...routes(usersApi, userHandlers(all)),
    ...routes(searchApi, searchHandlers(all)),
    ...routes(connectionsApi, connectionHandlers({ ...all, flow })),
    ...routes(propertiesApi, propertyHandlers(all)),
    ...routes(callsApi, callHandlers(all)),
    ...routes(brigInternalApi, internalHandlers(all)),
  ]
}
