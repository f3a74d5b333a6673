import type { PushToken, Transport } from '../../../contract/gundeck/push-tokens.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

export const pushTokensTable = table({
  name: 'gundeck_push_tokens',
  partition: { user: of<UserId>()('uuid') },
  cluster: { token: 'text' },
  columns: { transport: of<Transport>()('text'), app: 'text', client: of<ClientId>()('text') },
})

export interface PushTokenStore {
  list(user: UserId): Promise<PushToken[]>
  put(user: UserId, token: PushToken): Promise<void>
  /** True when there was one. */
  remove(user: UserId, token: string): Promise<boolean>
  removeOfClient(user: UserId, client: ClientId): Promise<void>
  removeAll(user: UserId): Promise<void>
}

export function pushTokenStore(db: WideColumnStore): PushTokenStore {
  async function list(user: UserId): Promise<PushToken[]> {
    // A few for each of a user's few clients: one page.
    const { rows } = await db.list(pushTokensTable, { user })
    return rows.map(({ token, transport, app, client }) => ({ transport, app, token, client }))
  }

  return {
    list,
    async put(user, given) {
      await db.put(pushTokensTable, { user, ...given })
      // A device has one token of an app; those it had before are dead, and would pile up.
      for (const other of await list(user)) {
        const isBefore =
          other.client === given.client &&
          other.transport === given.transport &&
          other.app === given.app &&
          other.token !== given.token
        if (isBefore) await db.remove(pushTokensTable, { user, token: other.token })
      }
    },
    async remove(user, token) {
      if ((await db.get(pushTokensTable, { user, token })) === undefined) return false
      await db.remove(pushTokensTable, { user, token })
      return true
    },
    async removeOfClient(user, client) {
      for (const token of await list(user)) {
        if (token.client === client) await db.remove(pushTokensTable, { user, token: token.token })
      }
    },
    removeAll: (user) => db.removeRange(pushTokensTable, { user }),
  }
}
