import type { ClientId, UserId } from '../../../contract/ids.ts'
import { of, removeRange, table, type WideColumnStore } from '../../../ports/wide-column.ts'
import type { Devices } from '../rules/mismatch.ts'

/**
 * The devices of each user, as brig announced them: a send needs no call to brig. A device counts
 * from before its registration is answered until after its removal began.
 */
const clients = table({
  name: 'galley_clients',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: { added: 'timestamp' },
})

export const clientTables = [clients]

export interface ClientStore {
  /** Every user is a key of the answer, also one without devices. */
  devicesOf(users: readonly UserId[]): Promise<Devices>
  add(user: UserId, client: ClientId, atMs: number): Promise<void>
  remove(user: UserId, client: ClientId): Promise<void>
  removeAll(user: UserId): Promise<void>
}

export function clientStore(db: WideColumnStore): ClientStore {
  return {
    async devicesOf(users) {
      const lists = await db.listEach(
        clients,
        users.map((user) => ({ user })),
      )
      return new Map(
        users.map((user, index) => [user, new Set(lists[index]?.map(({ client }) => client))]),
      )
    },
    add: (user, client, atMs) => db.put(clients, { user, client, added: atMs }),
    remove: (user, client) => db.remove(clients, { user, client }),
    removeAll: (user) => db.batch([removeRange(clients, { user })]),
  }
}
