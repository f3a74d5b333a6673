import type { ClientId, UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

/** One nonce per device; the next takes its place. */
export const clientNoncesTable = table({
  name: 'brig_client_nonces',
  partition: { user: of<UserId>()('uuid') },
  cluster: { client: of<ClientId>()('text') },
  columns: { nonce: 'text' },
})

const ttlSeconds = 300

export interface ClientNonceStore {
  put(user: UserId, client: ClientId, nonce: string): Promise<void>
}

export function clientNonceStore(db: WideColumnStore): ClientNonceStore {
  return {
    put: (user, client, nonce) =>
      db.put(clientNoncesTable, { user, client, nonce }, { ttlSeconds }),
  }
}
