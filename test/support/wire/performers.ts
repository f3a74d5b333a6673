// What a person of a scenario needs from a client, whichever client it is. One function for each of
// the three kinds; `cast.ts` tells the story on top of them.
import { eventLog, type EventLog } from './event-log.ts'
import type { ConnectionUpdate } from '@wireapp/api-client/lib/connection/index.js'

import type { FreshApiClient } from './api-client.ts'
import type { CoreClient } from './core-client.ts'
import type { CoreEvent } from './core-calls.ts'
import { sameForAll, type Recipients } from './otr-message.ts'
import type { DeviceMap, MessageOutcome, RawClient } from './raw.ts'
import type { AwaitSocket, LiveEvent, WireEvent, WireNotification } from './raw-socket.ts'
import type { QualifiedId } from './wire-types.ts'

export interface Account {
  readonly name: string
  readonly email: string
  readonly password: string
}

/** Something that happened to a person, whatever client they hold. */
export interface Happening {
  readonly source: 'websocket' | 'catch-up'
  readonly event: WireEvent
  /** What a message says; the bytes sent as ciphertext where the client does not encrypt. */
  readonly text?: string
  /** Absent where the client keeps the notification's id to itself. */
  readonly notification?: string
}

export interface Sent {
  readonly time: string
  /** Set by clients that encrypt; it is inside of the message. */
  readonly messageId?: string
}

/** The acts of a person, each through the client that they hold. */
export interface Performer extends AsyncDisposable {
  register(account: Account, code: string): Promise<QualifiedId>
  login(account: Account): Promise<QualifiedId>
  registerDevice(account: Account): Promise<string>
  goOnline(): Promise<void>
  goOffline(): Promise<void>
  setHandle(handle: string): Promise<void>
  connect(user: QualifiedId): Promise<QualifiedId>
  accept(user: QualifiedId): Promise<QualifiedId>
  createGroup(name: string, members: readonly QualifiedId[]): Promise<QualifiedId>
  add(room: QualifiedId, members: readonly QualifiedId[]): Promise<void>
  leave(room: QualifiedId): Promise<void>
  send(room: QualifiedId, text: string): Promise<Sent>
  next(
    matches: (happening: Happening) => boolean,
    timeoutMs: number,
    what: string,
  ): Promise<Happening>
  happenings(): readonly Happening[]
}

interface ConversationBody {
  readonly qualified_id: QualifiedId
}

interface ConnectionBody {
  readonly qualified_conversation: QualifiedId
}

function roomOf(conversation: QualifiedId | undefined): QualifiedId {
  if (!conversation) throw new Error('A connection without a conversation')
  return conversation
}

function textOf(event: WireEvent): { text: string } | undefined {
  if (event.type !== 'conversation.otr-message-add') return undefined
  const { text } = event.data as { text: string }
  return { text: Buffer.from(text, 'base64').toString('utf8') }
}

function merged(left: DeviceMap, right: DeviceMap): DeviceMap {
  const result: Record<string, Record<string, readonly string[]>> = {}
  for (const map of [left, right]) {
    for (const [domain, users] of Object.entries(map)) {
      const known = (result[domain] ??= {})
      for (const [user, devices] of Object.entries(users)) {
        known[user] = [...new Set([...(known[user] ?? []), ...devices])]
      }
    }
  }
  return result
}

function without(devices: DeviceMap, dropped: DeviceMap): DeviceMap {
  return Object.fromEntries(
    Object.entries(devices).map(([domain, users]) => [
      domain,
      Object.fromEntries(
        Object.entries(users).map(([user, ids]) => [
          user,
          ids.filter((id) => !dropped[domain]?.[user]?.includes(id)),
        ]),
      ),
    ]),
  )
}

type Attempt = (
  recipients: Recipients,
) => Promise<{ outcome: MessageOutcome; isDelivered: boolean }>

/**
 * Sends as Wire's clients do: to the devices known so far, and again after each 412 that names
 * others. Starts from nothing, so that a first message always learns the devices from the server.
 */
function mismatchLoop() {
  const known = new Map<string, DeviceMap>()
  return async (room: QualifiedId, text: string, attempt: Attempt): Promise<Sent> => {
    for (let tries = 0; tries < 4; tries += 1) {
      const devices = known.get(room.id) ?? {}
      const { outcome, isDelivered } = await attempt(sameForAll(devices, text))
      const gone = merged(outcome.deleted, outcome.redundant)
      known.set(room.id, without(merged(devices, outcome.missing), gone))
      if (isDelivered) return { time: outcome.time }
    }
    throw new Error('The server went on naming missing devices')
  }
}

interface CatchUpBuffer {
  readonly log: EventLog<Happening>
  /** The newest notification that was handled. */
  readonly since: string | undefined
  readonly hold: () => void
  readonly live: (event: LiveEvent) => void
  readonly release: (missed: readonly WireNotification[]) => void
}

/**
 * The order of Wire's legacy clients: hold back what the open socket brings, page through what was
 * missed, then release, each notification once.
 */
function catchUpBuffer(name: string): CatchUpBuffer {
  const log = eventLog<Happening>(name)
  const handled = new Set<string>()
  let held: LiveEvent[] | undefined
  let since: string | undefined

  function handle(live: LiveEvent, source: Happening['source']): void {
    const { notification, event, transient } = live
    log.add({ source, event, notification, ...textOf(event) })
    if (!transient) since = notification
  }

  return {
    log,
    get since() {
      return since
    },
    hold() {
      held = []
    },
    live(event: LiveEvent) {
      if (held) held.push(event)
      else handle(event, 'websocket')
    },
    release(missed: readonly WireNotification[]) {
      for (const { id, payload } of missed) {
        handled.add(id)
        for (const event of payload) {
          handle({ notification: id, transient: false, event }, 'catch-up')
        }
      }
      const waiting = held ?? []
      held = undefined
      for (const live of waiting) {
        if (!handled.has(live.notification)) handle(live, 'websocket')
      }
    },
  }
}

export function rawPerformer(client: RawClient): Performer {
  const buffer = catchUpBuffer(client.name)
  const sendLoop = mismatchLoop()
  let socket: AwaitSocket | undefined

  async function goOffline(): Promise<void> {
    const open = socket
    socket = undefined
    await open?.close()
  }

  return {
    async register({ email, password, name }, code) {
      return (await client.register({ email, password, name, code })).qualified_id
    },
    async login({ email, password }) {
      await client.login({ email, password })
      if (!client.user) throw new Error(`${client.name} logged in as nobody`)
      return client.user
    },
    registerDevice: ({ password }) => client.registerDevice({ password }),

    async goOnline() {
      buffer.hold()
      socket = await client.openAwait({ onEvent: buffer.live })
      const { since } = buffer
      buffer.release(await client.notifications(since === undefined ? {} : { since }))
    },
    goOffline,

    async setHandle(handle) {
      await client.request('PUT', '/self/handle', { json: { handle }, expect: 200 })
    },
    async connect({ domain, id }) {
      const path = `/connections/${domain}/${id}`
      const reply = await client.request<ConnectionBody>('POST', path, { expect: [200, 201] })
      return reply.json.qualified_conversation
    },
    async accept({ domain, id }) {
      const reply = await client.request<ConnectionBody>('PUT', `/connections/${domain}/${id}`, {
        json: { status: 'accepted' },
        expect: 200,
      })
      return reply.json.qualified_conversation
    },
    async createGroup(name, members) {
      const reply = await client.request<ConversationBody>('POST', '/conversations', {
        json: { name, qualified_users: members },
        expect: [200, 201],
      })
      return reply.json.qualified_id
    },
    async add({ domain, id }, members) {
      await client.request('POST', `/conversations/${domain}/${id}/members`, {
        json: { qualified_users: members },
        expect: 200,
      })
    },
    async leave({ domain, id }) {
      const { user } = client
      const path = `/conversations/${domain}/${id}/members/${user?.domain}/${user?.id}`
      await client.request('DELETE', path, { expect: 200 })
    },
    send: (room, text) =>
      sendLoop(room, text, async (recipients) => {
        const reply = await client.sendOtr(room, { recipients }, { expect: [201, 412] })
        return { outcome: reply.json, isDelivered: reply.status === 201 }
      }),

    next: (matches, timeoutMs, what) => buffer.log.take(matches, timeoutMs, what),
    happenings: () => buffer.log.all,
    [Symbol.asyncDispose]: goOffline,
  }
}

function mismatchOf(error: unknown): MessageOutcome {
  const { response } = error as { response?: { status: number; data: MessageOutcome } }
  if (response?.status !== 412) throw error
  return response.data
}

export function apiPerformer(client: FreshApiClient): Performer {
  const buffer = catchUpBuffer(client.name)
  const sendLoop = mismatchLoop()
  client.onEvent(buffer.live)
  const { api } = client

  return {
    register: ({ email, password, name }, code) =>
      client.registerUser({ email, password, name, emailCode: code }),
    login: (account) => client.login(account),
    registerDevice: ({ password }) => client.registerDevice({ password }),

    async goOnline() {
      buffer.hold()
      await client.connect()
      const { notifications } = await api.api.notification.getAllNotifications(
        client.device,
        buffer.since,
      )
      buffer.release(notifications as unknown as WireNotification[])
    },
    async goOffline() {
      client.disconnect()
    },

    async setHandle(handle) {
      await api.api.self.putHandle({ handle })
    },
    async connect(user) {
      return roomOf((await api.api.connection.postConnection(user)).qualified_conversation)
    },
    async accept(user) {
      // The library's own name for the status lies in an enum of the copy that the client loaded.
      const accepted = { status: 'accepted' } as unknown as ConnectionUpdate
      return roomOf((await api.api.connection.putConnection(user, accepted)).qualified_conversation)
    },
    async createGroup(name, members) {
      const { qualified_id: room } = await api.api.conversation.postConversation({
        name,
        qualified_users: [...members],
        receipt_mode: null,
      })
      return room
    },
    async add(room, members) {
      await api.api.conversation.postMembers(room, [...members])
    },
    async leave(room) {
      await api.api.conversation.deleteMember(room, client.user)
    },
    send: (room, text) =>
      sendLoop(room, text, async (recipients) => {
        try {
          const outcome = await client.sendOtr(room, { recipients })
          return { outcome: outcome as MessageOutcome, isDelivered: true }
        } catch (error) {
          return { outcome: mismatchOf(error), isDelivered: false }
        }
      }),

    next: (matches, timeoutMs, what) => buffer.log.take(matches, timeoutMs, what),
    happenings: () => buffer.log.all,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

type FromServer = Extract<CoreEvent, { event: unknown }>

const isFromServer = (event: CoreEvent): event is FromServer => 'event' in event

function asHappening(entry: FromServer): Happening {
  return {
    source: entry.source === 'catch-up' ? 'catch-up' : 'websocket',
    event: entry.event as WireEvent,
    ...(entry.kind === 'text' && { text: entry.text }),
  }
}

export function corePerformer(client: CoreClient, options: { useLegacy: boolean }): Performer {
  const { useLegacy } = options

  return {
    async register({ email, password, name }, code) {
      return (await client.registerUser({ email, password, name, emailCode: code })).user
    },
    async login(account) {
      return (await client.login(account)).user
    },
    async registerDevice({ password }) {
      const { id } = await client.registerClient({ password, useLegacy })
      await client.initClient()
      return id
    },
    goOnline: () => client.listen({ useLegacy }),
    goOffline: () => client.stopListening(),
    setHandle: (handle) => client.setHandle(handle),
    connect: async (user) => roomOf((await client.connect(user)).conversation),
    accept: async (user) => roomOf((await client.acceptConnection(user)).conversation),
    createGroup: async (name, members) => (await client.createGroup(name, members)).conversation,
    add: (room, members) => client.addMembers(room, members),
    leave: (room) => client.leave(room),
    async send(room, text) {
      const { messageId, sentAt } = await client.sendText(room, text)
      return { messageId, time: sentAt }
    },
    async next(matches, timeoutMs, what) {
      const found = await client.events.take(
        (entry) => isFromServer(entry) && matches(asHappening(entry)),
        timeoutMs,
        what,
      )
      return asHappening(found as FromServer)
    },
    happenings: () => client.events.all.filter(isFromServer).map(asHappening),
    [Symbol.asyncDispose]: () => client.close(),
  }
}
