import type {
  ClientCapability,
  ClientClass,
  ClientType,
  MlsPublicKeys,
} from '../../../contract/brig/clients.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import {
  of,
  putIfAbsent,
  removeIf,
  table,
  updateIf,
  type Changes,
  type ConditionalOperation,
  type Row,
  type WideColumnStore,
} from '../../../ports/wide-column.ts'

/** The key of the row that makes changes of the list of devices follow one another. */
const rosterKey = 'roster' as ClientId

/**
 * A user's devices: some ten rows at most. The row `roster` changes with every device that comes or
 * goes, so that two that come at once are counted one after the other.
 */
export const clientsTable = table({
  name: 'brig_clients',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: {
    type: of<ClientType | 'roster'>()('text'),
    /** Rises with every change of the row. */
    revision: 'int',
    createdMs: 'timestamp',
    class: of<ClientClass>()('text?'),
    label: 'text?',
    model: 'text?',
    cookieLabel: 'text?',
    /** JSON. */
    capabilities: 'text',
    /** JSON. */
    mlsPublicKeys: 'text',
  },
  writes: 'conditional',
})

/** Apart from the devices, because it changes often and nothing depends on it. */
export const clientActivityTable = table({
  name: 'brig_client_activity',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: { lastActiveMs: 'timestamp' },
})

export interface Client {
  id: ClientId
  type: ClientType
  createdMs: number
  class?: ClientClass | undefined
  label?: string | undefined
  model?: string | undefined
  /** Sessions with this label end with the device. */
  cookieLabel?: string | undefined
  capabilities: ClientCapability[]
  mlsPublicKeys: MlsPublicKeys
}

/** What was read, to be given back with the change that follows from it. */
export interface SeenClient extends Client {
  revision: number
}
export interface Roster {
  clients: SeenClient[]
  /** Absent for a user who never had a device. */
  revision: number | undefined
}

export type ClientChanges = Partial<Pick<Client, 'label' | 'capabilities' | 'mlsPublicKeys'>>

export interface ClientStore {
  list(user: UserId): Promise<Roster>
  get(user: UserId, client: ClientId): Promise<SeenClient | undefined>
  /** Adds the device, or replaces `previous`. False when the roster is no longer as seen. */
  register(
    user: UserId,
    seen: Roster,
    client: Client,
    previous: SeenClient | undefined,
  ): Promise<boolean>
  /** False when the device is no longer as seen. */
  update(user: UserId, seen: SeenClient, changes: ClientChanges): Promise<boolean>
  /** False when the roster or the device is no longer as seen. */
  remove(user: UserId, seen: Roster, client: SeenClient): Promise<boolean>
  /** Removes the devices of a deleted user. */
  removeAll(user: UserId): Promise<void>
  touch(user: UserId, client: ClientId, atMs: number): Promise<void>
  /** When devices were last active, in milliseconds; those that never were are left out. */
  listActivity(user: UserId): Promise<Map<ClientId, number>>
}

export function clientStore(db: WideColumnStore): ClientStore {
  /** The next device that comes or goes finds the roster changed. */
  function changeRoster(user: UserId, { revision }: Roster): ConditionalOperation {
    const key = { user, client: rosterKey }
    if (revision !== undefined) {
      return updateIf(clientsTable, key, { revision }, { revision: revision + 1 })
    }
    const columns = { createdMs: 0, capabilities: '[]', mlsPublicKeys: '{}' }
    return putIfAbsent(clientsTable, { ...key, type: 'roster', revision: 1, ...columns })
  }

  return {
    async list(user) {
      const { rows } = await db.list(clientsTable, { user })
      const roster: Roster = { clients: [], revision: undefined }
      for (const row of rows) {
        const client = toClient(row)
        if (client === undefined) roster.revision = row.revision
        else roster.clients.push(client)
      }
      return roster
    },
    async get(user, client) {
      const row = await db.get(clientsTable, { user, client })
      return row && toClient(row)
    },
    register(user, seen, client, previous) {
      const key = { user, client: client.id }
      const columns = {
        type: client.type,
        createdMs: client.createdMs,
        class: client.class,
        label: client.label,
        model: client.model,
        cookieLabel: client.cookieLabel,
        capabilities: JSON.stringify(client.capabilities),
        mlsPublicKeys: JSON.stringify(client.mlsPublicKeys),
      }
      const write =
        previous === undefined
          ? putIfAbsent(clientsTable, { ...key, revision: 1, ...columns })
          : updateIf(
              clientsTable,
              key,
              { revision: previous.revision },
              { revision: previous.revision + 1, ...columns },
            )
      return db.batchIf([changeRoster(user, seen), write])
    },
    update(user, seen, { capabilities, mlsPublicKeys, ...others }) {
      const changes: Changes<typeof clientsTable> = {
        ...others,
        ...(capabilities && { capabilities: JSON.stringify(capabilities) }),
        ...(mlsPublicKeys && { mlsPublicKeys: JSON.stringify(mlsPublicKeys) }),
        revision: seen.revision + 1,
      }
      const key = { user, client: seen.id }
      return db.updateIf(clientsTable, key, { revision: seen.revision }, changes)
    },
    async remove(user, seen, client) {
      const key = { user, client: client.id }
      const isRemoved = await db.batchIf([
        changeRoster(user, seen),
        removeIf(clientsTable, key, { revision: client.revision }),
      ])
      if (isRemoved) await db.remove(clientActivityTable, key)
      return isRemoved
    },
    async removeAll(user) {
      for (;;) {
        const { rows } = await db.list(clientsTable, { user })
        if (rows.length === 0) break
        await db.batchIf(
          rows.map(({ client, revision }) =>
            removeIf(clientsTable, { user, client }, { revision }),
          ),
        )
      }
      await db.removeRange(clientActivityTable, { user })
    },
    async touch(user, client, atMs) {
      await db.put(clientActivityTable, { user, client, lastActiveMs: atMs })
    },
    async listActivity(user) {
      const { rows } = await db.list(clientActivityTable, { user })
      return new Map(rows.map(({ client, lastActiveMs }) => [client, lastActiveMs]))
    },
  }
}

function toClient(row: Row<typeof clientsTable>): SeenClient | undefined {
  const { user: _user, client: id, type, capabilities, mlsPublicKeys, ...fields } = row
  if (type === 'roster') return undefined
  return {
    ...fields,
    id,
    type,
    capabilities: JSON.parse(capabilities) as ClientCapability[],
    mlsPublicKeys: JSON.parse(mlsPublicKeys) as MlsPublicKeys,
  }
}
