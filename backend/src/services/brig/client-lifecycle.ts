import { clientErrors, type RegisteredClient } from '../../contract/brig/clients.ts'
import type { ClientCapability, ClientType, MlsPublicKeys } from '../../contract/brig/clients.ts'
import type { Client as ApiClient, UserCaller } from '../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../contract/error.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import type { inboxApi } from '../../contract/gundeck/internal.ts'
import { formatTimestamp, type ClientId, type UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { UserEvents } from './events.ts'
import type { Accounts } from './halves.ts'
import { requirePassword } from './require-password.ts'
import type { Prekey } from './rules/prekey.ts'
import { addMlsPublicKeys, planRegistration, setCapabilities } from './rules/registration.ts'
import type { Client, ClientChanges, ClientStore, SeenClient } from './store/clients.ts'
import type { PrekeyStore } from './store/prekeys.ts'
import type { User } from './store/users.ts'

export interface ClientLifecycleDeps {
  clients: ClientStore
  prekeys: PrekeyStore
  accounts: Accounts
  events: UserEvents
  galley: Pick<ApiClient<typeof galleyInternalApi>, 'addClient' | 'removeClient'>
  gundeck: Pick<ApiClient<typeof inboxApi>, 'openClientInbox' | 'closeClientInbox'>
  clock: Pick<Clock, 'nowMs'>
  maxPermanentClients: number
}

export interface NewClient {
  id: ClientId
  type: ClientType
  prekeys: readonly Prekey[]
  class: Client['class']
  label: string | undefined
  model: string | undefined
  cookieLabel: string | undefined
  capabilities: ClientCapability[]
  mlsPublicKeys: MlsPublicKeys
}

export interface ClientUpdate {
  prekeys: readonly Prekey[]
  label: string | undefined
  capabilities: readonly ClientCapability[] | undefined
  mlsPublicKeys: MlsPublicKeys
}

export interface ClientLifecycle {
  /** Throws the errors of `POST /clients`. */
  register(
    user: User,
    client: NewClient,
    by: { caller: UserCaller; password: string | undefined },
  ): Promise<Client>
  /** Throws the errors of `PUT /clients/{client}`. */
  update(user: UserId, client: ClientId, update: ClientUpdate): Promise<void>
  /** Removes the device and all that belongs to it; does nothing when it is gone. */
  retire(caller: UserCaller, client: ClientId): Promise<void>
}

/** Every failed attempt means that somebody else changed the user's devices. */
const maxAttempts = 10

export function clientLifecycle(deps: ClientLifecycleDeps): ClientLifecycle {
  const { clients, prekeys, accounts, events, galley, gundeck, clock } = deps

  /**
   * What belongs to a device ends before the device itself, so that after a crash it is still there
   * and can be removed again.
   */
  async function cascade(caller: UserCaller, client: SeenClient): Promise<void> {
    const { user, connection } = caller
    const params = { user, client: client.id }
    await galley.removeClient({ params })
    if (client.cookieLabel !== undefined) await accounts.revokeCookies(user, [client.cookieLabel])
    // While the inbox is open, because the device itself must see this: then it wipes its data.
    await events.publish([
      {
        recipients: [user],
        event: { type: 'user.client-remove', client: { id: client.id } },
        origin: { user, connection },
      },
    ])
    await gundeck.closeClientInbox({ params })
    await prekeys.removeAll(user, client.id)
  }

  async function retire(caller: UserCaller, id: ClientId): Promise<void> {
    let cascadedRevision: number | undefined
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const roster = await clients.list(caller.user)
      const client = roster.clients.find((known) => known.id === id)
      if (client === undefined) return
      if (client.revision === cascadedRevision) {
        if (await clients.remove(caller.user, roster, client)) return
      } else {
        await cascade(caller, client)
        cascadedRevision = client.revision
      }
    }
    throw new Unavailable('removing a device while others come and go')
  }

  /** Returns the device and whether it is one more than before. */
  async function enrol(
    user: UserId,
    wanted: NewClient,
    by: { caller: UserCaller; password: string | undefined },
  ): Promise<{ client: Client; isFurther: boolean }> {
    const { id } = wanted
    let isChecked = false
    let isPrepared = false
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const roster = await clients.list(user)
      const plan = planRegistration(roster.clients, wanted, deps.maxPermanentClients)
      if (plan.needsPassword && !isChecked) {
        await requirePassword(accounts, user, by.password)
        isChecked = true
      }
      if (plan.isTooMany) {
        // Others were faster. What was made ready would wait for a device that never comes.
        if (isPrepared && plan.previous === undefined) {
          await gundeck.closeClientInbox({ params: { user, client: id } })
          await prekeys.removeAll(user, id)
        }
        throw new ApiError(clientErrors.tooManyClients)
      }
      const mlsPublicKeys = addMlsPublicKeys(
        plan.previous?.mlsPublicKeys ?? {},
        wanted.mlsPublicKeys,
      )
      if (mlsPublicKeys === 'duplicate') throw new ApiError(clientErrors.duplicateMlsKey)
      if (plan.replaced.length > 0) {
        for (const replaced of plan.replaced) await retire(by.caller, replaced.id)
        continue
      }
      // Before the device can be seen: it must never be without prekeys, nor can anything that is
      // sent to it be erased before it was read.
      await prekeys.add(user, id, wanted.prekeys)
      await openInbox(user, id, wanted.capabilities)
      isPrepared = true
      const { prekeys: _prekeys, ...fields } = wanted
      const client: Client = { ...fields, createdMs: clock.nowMs(), mlsPublicKeys }
      if (await clients.register(user, roster, client, plan.previous)) {
        const isFurther = plan.previous === undefined && roster.clients.length > 0
        return { client, isFurther }
      }
    }
    throw new Unavailable('registering a device while others come and go')
  }

  async function openInbox(user: UserId, client: ClientId, capabilities: ClientCapability[]) {
    await gundeck.openClientInbox({
      params: { user, client },
      body: { isAcknowledging: isAcknowledging(capabilities) },
    })
  }

  return {
    retire,
    async register(user, wanted, by) {
      const { client, isFurther } = await enrol(user.id, wanted, by)
      // A device that galley does not know of yet is only one to which nobody sends. Registering
      // again, which a client does when it got no answer, completes it.
      await galley.addClient({ params: { user: user.id, client: client.id } })
      await events.publish([
        {
          recipients: [user.id],
          event: { type: 'user.client-add', client: clientInEvent(client) },
          origin: { user: user.id, connection: by.caller.connection },
        },
      ])
      if (isFurther && user.email !== undefined) await accounts.mailNewDevice(user, client)
      return client
    },
    async update(user, id, update) {
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const client = await clients.get(user, id)
        if (client === undefined) throw new ApiError(clientErrors.notFound)
        const changes = changesOf(client, update)
        await prekeys.add(user, id, update.prekeys)
        if (changes === undefined) return
        const { capabilities = client.capabilities } = changes
        if (isAcknowledging(capabilities) && !isAcknowledging(client.capabilities)) {
          await openInbox(user, id, capabilities)
        }
        if (await clients.update(user, client, changes)) return
      }
      throw new Unavailable('changing a device that others keep changing')
    },
  }
}

/** Undefined when all is as it was: clients repeat themselves at every start. */
function changesOf(client: Client, update: ClientUpdate): ClientChanges | undefined {
  const changes: ClientChanges = {}
  if (update.label !== undefined && update.label !== client.label) changes.label = update.label
  if (update.capabilities !== undefined) {
    const capabilities = setCapabilities(client.capabilities, update.capabilities)
    if (capabilities === 'removed') throw new ApiError(clientErrors.capabilityRemoved)
    if (capabilities.length > client.capabilities.length) changes.capabilities = capabilities
  }
  const keys = addMlsPublicKeys(client.mlsPublicKeys, update.mlsPublicKeys)
  if (keys === 'duplicate') throw new ApiError(clientErrors.duplicateMlsKey)
  if (Object.keys(keys).length > Object.keys(client.mlsPublicKeys).length) {
    changes.mlsPublicKeys = keys
  }
  return Object.keys(changes).length === 0 ? undefined : changes
}

/** Whether the device acknowledges what it has read, notification by notification. */
export const isAcknowledging = (capabilities: readonly ClientCapability[]): boolean =>
  capabilities.includes('consumable-notifications')

/** The device as its owner sees it. */
export function registeredClient(
  client: Client,
  lastActiveMs: number | undefined,
): RegisteredClient {
  return {
    id: client.id,
    type: client.type,
    time: formatTimestamp(client.createdMs),
    class: client.class,
    label: client.label,
    model: client.model,
    cookie: client.cookieLabel,
    last_active:
      lastActiveMs === undefined ? undefined : formatTimestamp(lastActiveMs).replace(/\.\d+/, ''),
    capabilities: client.capabilities,
    mls_public_keys: client.mlsPublicKeys,
  }
}

/** The shape before version 8, without what no new device has. */
function clientInEvent(client: Client) {
  const { last_active: _none, capabilities, ...fields } = registeredClient(client, undefined)
  return { ...fields, capabilities: { capabilities } }
}
