import { clientErrors, type clientsApi } from '../../../contract/brig/clients.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import type { Ids } from '../../../platform/ids.ts'
import { registeredClient, type ClientLifecycle } from '../client-lifecycle.ts'
import type { Accounts } from '../halves.ts'
import { requirePassword } from '../require-password.ts'
import { checkPrekey, clientIdFromLastKey, type Prekey } from '../rules/prekey.ts'
import type { ClientNonceStore } from '../store/client-nonces.ts'
import type { ClientStore } from '../store/clients.ts'
import type { PrekeyStore } from '../store/prekeys.ts'
import type { UserStore } from '../store/users.ts'

export interface ClientHandlersDeps {
  users: Pick<UserStore, 'get'>
  clients: ClientStore
  prekeys: PrekeyStore
  nonces: ClientNonceStore
  lifecycle: ClientLifecycle
  accounts: Accounts
  ids: Pick<Ids, 'token'>
}

export function clientHandlers(deps: ClientHandlersDeps): Handlers<typeof clientsApi> {
  const { users, clients, prekeys, nonces, lifecycle, accounts, ids } = deps

  async function requireClient(user: UserId, client: ClientId) {
    const found = await clients.get(user, client)
    if (found === undefined) throw new ApiError(clientErrors.notFound)
    return found
  }

  async function makeNonce(user: UserId, client: ClientId) {
    const nonce = ids.token(16)
    await nonces.put(user, client, nonce)
    return { 'replay-nonce': nonce, 'cache-control': 'no-store' }
  }

  return {
    async addClient({ caller, body }) {
      const user = await users.get(caller.user)
      if (user === undefined || user.status === 'deleted') throw new ApiError(kitErrors.notFound)
      const allPrekeys = [...body.prekeys, body.lastkey]
      requireGoodPrekeys(allPrekeys)
      const client = await lifecycle.register(
        user,
        {
          id: clientIdFromLastKey(body.lastkey.key),
          type: body.type,
          prekeys: allPrekeys,
          class: body.class,
          label: body.label,
          model: body.model,
          cookieLabel: body.cookie,
          capabilities: [...new Set(body.capabilities)],
          mlsPublicKeys: body.mls_public_keys ?? {},
        },
        { caller, password: body.password },
      )
      return {
        status: 201,
        headers: { location: `/clients/${client.id}` },
        body: registeredClient(client, undefined),
      }
    },
    async listClients({ caller }) {
      const [roster, activity] = await Promise.all([
        clients.list(caller.user),
        clients.listActivity(caller.user),
      ])
      return {
        status: 200,
        body: roster.clients.map((client) => registeredClient(client, activity.get(client.id))),
      }
    },
    async getClient({ caller, params }) {
      const client = await clients.get(caller.user, params.client)
      if (client === undefined) throw new ApiError(kitErrors.notFound)
      const activity = await clients.listActivity(caller.user)
      return { status: 200, body: registeredClient(client, activity.get(client.id)) }
    },
    async updateClient({ caller, params, body }) {
      const added = [...(body.prekeys ?? []), ...(body.lastkey ? [body.lastkey] : [])]
      requireGoodPrekeys(added)
      await lifecycle.update(caller.user, params.client, {
        prekeys: added,
        label: body.label,
        capabilities: body.capabilities,
        mlsPublicKeys: body.mls_public_keys ?? {},
      })
      return { status: 200 }
    },
    async removeClient({ caller, params, body }) {
      const client = await requireClient(caller.user, params.client)
      if (client.type !== 'temporary') {
        await requirePassword(accounts, caller.user, body?.password)
      }
      await lifecycle.retire(caller, client.id)
      return { status: 200 }
    },
    async getClientCapabilities({ caller, params }) {
      const { capabilities } = await requireClient(caller.user, params.client)
      return { status: 200, body: capabilities }
    },
    async listClientPrekeys({ caller, params }) {
      return { status: 200, body: await prekeys.listIds(caller.user, params.client) }
    },
    async headClientNonce({ caller, params }) {
      return { status: 200, headers: await makeNonce(caller.user, params.client) }
    },
    async getClientNonce({ caller, params }) {
      return { status: 204, headers: await makeNonce(caller.user, params.client) }
    },
  }
}

function requireGoodPrekeys(prekeys: readonly Prekey[]): void {
  for (const prekey of prekeys) {
    const verdict = checkPrekey(prekey)
    if (verdict === 'ok') continue
    const problem = verdict === 'malformed' ? 'is no prekey bundle' : 'has another id inside'
    throw new ApiError(clientErrors.malformedPrekeys, {
      message: `Prekey ${String(prekey.id)} ${problem}`,
    })
  }
}
