import { connectionErrors } from '../../contract/brig/connections.ts'
import type { Connection, ConnectionStatus } from '../../contract/brig/connections.ts'
import type { Client as ApiClient, UserCaller } from '../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../contract/error.ts'
import type { UserEvent } from '../../contract/events/user.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import { formatTimestamp } from '../../contract/ids.ts'
import type { ConversationId, Domain, UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { UserEvents, UserPush } from './events.ts'
import { changeConnection, requestConnection } from './rules/connection.ts'
import type { ConnectionEffect, ConnectionOutcome, Sides } from './rules/connection.ts'
import type { ConnectionStore, UserConnection } from './store/connections.ts'
import type { UserStore } from './store/users.ts'

export interface ConnectionFlowDeps {
  connections: ConnectionStore
  users: Pick<UserStore, 'get'>
  events: UserEvents
  galley: Pick<
    ApiClient<typeof galleyInternalApi>,
    | 'createConnectConversation'
    | 'acceptConnectConversation'
    | 'blockConnectConversation'
    | 'unblockConnectConversation'
  >
  clock: Pick<Clock, 'nowMs'>
  domain: Domain
  maxConnections: number
}

export interface ConnectionFlow {
  request(
    caller: UserCaller,
    other: UserId,
  ): Promise<{ connection: UserConnection; isNew: boolean }>
  /** Undefined when the status was that already. */
  change(
    caller: UserCaller,
    other: UserId,
    wanted: ConnectionStatus,
  ): Promise<UserConnection | undefined>
  /** Ends all connections of a deleted user. */
  forget(user: UserId): Promise<void>
}

/** Every failed attempt means that the connection moved. */
const maxAttempts = 10

/**
 * How connections move. A step is first written down with the effect that it has, then galley and
 * the devices are told, then the effect is crossed out. Whoever next acts on a connection that was
 * left in between, in most cases the same client trying again, completes the step first.
 */
export function connectionFlow(deps: ConnectionFlowDeps): ConnectionFlow {
  const { connections, users, events, galley, clock, domain } = deps

  async function checkRoom(user: UserId): Promise<void> {
    const taken = await connections.listByStatus(user, ['accepted', 'sent'])
    if (taken.length >= deps.maxConnections) throw new ApiError(connectionErrors.limit)
  }

  async function tellGalley(
    { own, peer, conversation }: UserConnection,
    effect: ConnectionEffect,
    origin: UserCaller['connection'] | undefined,
  ): Promise<ConversationId | undefined> {
    const [user, other] = [own.user, peer.user]
    if (effect === 'request') {
      const { body } = await galley.createConnectConversation({
        body: { from: user, to: other, origin },
      })
      return body.conversation.id
    }
    if (conversation === undefined) return undefined
    const params = { conversation }
    switch (effect) {
      case 'accept':
        await galley.acceptConnectConversation({ params, body: { user, other, origin } })
        break
      case 'unblock':
        await galley.unblockConnectConversation({ params, body: { user, other, origin } })
        break
      case 'block':
      case 'cancel':
        await galley.blockConnectConversation({ params, body: { user } })
        break
      case 'none':
    }
    return conversation
  }

  async function tellDevices(
    connection: UserConnection,
    options: { tellsPeer: boolean; origin: UserPush['origin'] },
  ): Promise<void> {
    const { own, peer } = connection
    const { origin } = options
    const pushes: UserPush[] = [
      { recipients: [own.user], event: connectionEvent(connection), origin },
    ]
    if (options.tellsPeer) {
      const user = await users.get(own.user)
      const event = connectionEvent(turnAround(connection), user?.name)
      pushes.push({ recipients: [peer.user], event, origin })
    }
    await events.publish(pushes)
  }

  /** Does what a step has left to do. Doing it twice does no harm. */
  async function settle(connection: UserConnection, caller: UserCaller): Promise<UserConnection> {
    const { unfinished } = connection
    if (unfinished === undefined) return connection
    const { effect, actor, tellsPeer } = unfinished
    const view = actor === connection.own.user ? connection : turnAround(connection)
    const origin =
      caller.user === actor ? { user: actor, connection: caller.connection } : undefined
    const conversation = await tellGalley(view, effect, origin?.connection)
    await tellDevices({ ...view, conversation }, { tellsPeer, origin })
    await connections.finish(connection, conversation)
    return { ...connection, conversation, unfinished: undefined }
  }

  /** `isNew`: there was no connection before; `isChanged`: something was done. */
  async function act(
    caller: UserCaller,
    other: UserId,
    decide: (sides: Sides | undefined) => ConnectionOutcome,
  ): Promise<{ connection: UserConnection; isNew: boolean; isChanged: boolean }> {
    const { user } = caller
    let hasSettled = false
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const seen = await connections.get(user, other, { isSerial: attempt > 0 })
      if (seen?.unfinished !== undefined) {
        await settle(seen, caller)
        hasSettled = true
        continue
      }
      const step = decide(seen && { own: seen.own.status, peer: seen.peer.status })
      if (step === 'refused') throw new ApiError(connectionErrors.badUpdate)
      if (step === 'unchanged') {
        if (seen === undefined) throw new Error('a connection that is not there cannot stay')
        return { connection: seen, isNew: false, isChanged: hasSettled }
      }
      if (step.takesRoom) await checkRoom(user)
      const taken = await connections.take(user, other, seen, step, clock.nowMs())
      if (taken === undefined) continue
      const connection = await settle(taken, caller)
      return { connection, isNew: seen === undefined, isChanged: true }
    }
    throw new Unavailable('moving a connection that others keep moving')
  }

  function connectionEvent(connection: UserConnection, name?: string): UserEvent {
    return {
      type: 'user.connection',
      connection: connectionInApi(connection, domain),
      ...(name === undefined ? {} : { user: { name } }),
    }
  }

  async function end(connection: UserConnection): Promise<void> {
    let current: UserConnection | undefined = connection
    while (current !== undefined) {
      const { own, peer } = current
      if (peer.status === 'pending') {
        // Nobody is left who could be answered.
        const status = { status: 'cancelled', changedMs: clock.nowMs() } as const
        const ended = { ...current, own: { ...own, ...status }, peer: { ...peer, ...status } }
        const event = connectionEvent(turnAround(ended))
        await events.publish([{ recipients: [peer.user], event }])
      }
      if (await connections.remove(current)) return
      current = await connections.get(own.user, peer.user, { isSerial: true })
    }
  }

  return {
    request: (caller, other) => act(caller, other, requestConnection),
    async change(caller, other, wanted) {
      const { connection, isChanged } = await act(caller, other, (sides) => {
        if (sides === undefined) throw new ApiError(connectionErrors.notConnected)
        return changeConnection(sides, wanted)
      })
      return isChanged ? connection : undefined
    },
    async forget(user) {
      for (let after: UserId | undefined; ;) {
        const page = await connections.list(user, { after, limit: 500 })
        for (const connection of page.connections) await end(connection)
        if (!page.hasMore) break
        after = page.last
      }
      await connections.removeList(user)
    },
  }
}

const turnAround = (connection: UserConnection): UserConnection => ({
  ...connection,
  own: connection.peer,
  peer: connection.own,
})

/** The own side of a connection. */
export function connectionInApi({ own, peer, conversation }: UserConnection, domain: Domain) {
  const connection: Connection = {
    from: own.user,
    to: peer.user,
    qualified_to: { domain, id: peer.user },
    status: own.status,
    last_update: formatTimestamp(own.changedMs),
  }
  if (conversation !== undefined) {
    connection.conversation = conversation
    connection.qualified_conversation = { domain, id: conversation }
  }
  return connection
}
