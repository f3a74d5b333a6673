import { randomUUID } from 'node:crypto'

import { freshApiClient, type FreshApiClient } from './api-client.ts'
import { startCoreClient, type CoreClient } from './core-client.ts'
import { mailbox, type Mailbox } from './mailbox.ts'
import {
  apiPerformer,
  corePerformer,
  rawPerformer,
  type Account,
  type Happening,
  type Performer,
  type Sent,
} from './performers.ts'
import { rawClient, type RawClient } from './raw.ts'
import type { WireEvent } from './raw-socket.ts'
import { isSameId, serverUrls, type QualifiedId } from './wire-types.ts'

interface Clients {
  readonly raw: RawClient
  readonly api: FreshApiClient
  readonly core: CoreClient
}

/** Which client a person holds: our own, Wire's thin library, or Wire's whole client. */
export type ClientKind = keyof Clients

export interface Room {
  readonly name: string
  readonly id: QualifiedId
}

/**
 * A user with one device. People with `core` clients encrypt and read only one another; `raw` and
 * `api` people send plain bytes in place of ciphertext and read only one another.
 */
export interface Person<Kind extends ClientKind = ClientKind> extends AsyncDisposable {
  readonly name: string
  readonly email: string
  readonly password: string
  readonly handle: string
  readonly user: QualifiedId
  /** Hex id of the device. */
  readonly device: string
  /** For everything that the story does not cover. */
  readonly client: Clients[Kind]

  /** Asks `other` for a connection, who accepts it; resolves with their room. */
  connectsWith(other: Person): Promise<Room>
  /** Accepts what `other` asked for. */
  accepts(other: Person): Promise<Room>
  /** Makes a group; those who are not connected yet are connected first. */
  creates(roomName: string, members: readonly Person[]): Promise<Room>
  adds(room: Room, members: readonly Person[]): Promise<void>
  leaves(room: Room): Promise<void>

  sends(room: Room, text: string): Promise<Sent>
  /** The next message with this text that was not received before. */
  receives(
    text: string,
    where?: { in?: Room; from?: Person; timeoutMs?: number },
  ): Promise<Happening>
  /** The next event that matches and was not seen before. */
  sees(event: string | ((event: WireEvent) => boolean), timeoutMs?: number): Promise<Happening>
  /** All texts that arrived so far, in order. */
  texts(room?: Room): string[]
  /** All events that arrived so far, in order, given out or not. */
  heard(): WireEvent[]

  goesOffline(): Promise<void>
  /** Connects again and reads what was missed. */
  comesOnline(): Promise<void>
  /** The same user on one more device, with a client of the same kind. */
  takesAnotherDevice(): Promise<Person<Kind>>
}

export interface PersonOptions<Kind extends ClientKind> {
  readonly kind?: Kind
  /** Whether the person's socket is opened at once; so by default. */
  readonly isOnline?: boolean
  readonly version?: number
  readonly gzip?: boolean
  /** For `core`: live on the acknowledged queue of `/events` instead of on `/await`. */
  readonly hasEventQueue?: boolean
}

export interface CastOptions {
  readonly url: string
  readonly mailboxUrl: string
  /** Where sockets go, when not to the same port. */
  readonly ws?: string
  readonly timeoutMs?: number
  /** The API version of everyone, unless said otherwise. */
  readonly version?: number
}

/** Makes people on one server, and ends all their clients when disposed of. */
export interface Cast extends AsyncDisposable {
  readonly mailbox: Mailbox
  /** Registers a new user through a mailed code, with a device, a handle and an open socket. */
  person<Kind extends ClientKind = 'raw'>(
    name: string,
    options?: PersonOptions<Kind>,
  ): Promise<Person<Kind>>
}

const PASSWORD = 'correct horse battery'
const DEFAULT_TIMEOUT_MS = 20_000
const NEWEST_VERSION = 15
const OLDEST_VERSION = 8

const pairOf = (one: Person, other: Person): string =>
  [one.user.id, other.user.id].toSorted().join()

export function castOn(options: CastOptions): Cast {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const box = mailbox(options.mailboxUrl)
  const { rest, ws } = serverUrls(options.url)
  const api = { rest, ws: options.ws === undefined ? ws : serverUrls(options.ws).ws }
  const performers = new AsyncDisposableStack()
  const connected = new Map<string, Room>()

  async function startClient<Kind extends ClientKind>(
    name: string,
    { kind, version = options.version, gzip = true, ...rest }: PersonOptions<Kind>,
  ): Promise<{ client: Clients[Kind]; performer: Performer }> {
    const minVersion = version ?? OLDEST_VERSION
    const maxVersion = version ?? NEWEST_VERSION
    const start = {
      raw: async () => {
        const client = rawClient(api.rest, { name, ws: api.ws, version: maxVersion })
        return { client, performer: rawPerformer(client) }
      },
      api: async () => {
        const client = await freshApiClient({ api, name, minVersion, maxVersion })
        return { client, performer: apiPerformer(client) }
      },
      core: async () => {
        const client = await startCoreClient({ api, name, minVersion, maxVersion, gzip })
        const { hasEventQueue = false } = rest
        return { client, performer: corePerformer(client, { useLegacy: !hasEventQueue }) }
      },
    }[kind ?? 'raw']
    const started = await start()
    performers.use(started.performer)
    // The compiler does not follow that the record was read at `kind`.
    return started as { client: Clients[Kind]; performer: Performer }
  }

  interface Role<Kind extends ClientKind> {
    readonly account: Account
    readonly handle: string
    readonly user: QualifiedId
    readonly device: string
    readonly client: Clients[Kind]
    readonly performer: Performer
    readonly options: PersonOptions<Kind>
  }

  function play<Kind extends ClientKind>(role: Role<Kind>): Person<Kind> {
    const { account, handle, user, device, client, performer } = role

    const person: Person<Kind> = {
      ...account,
      handle,
      user,
      device,
      client,

      async connectsWith(other) {
        const known = connected.get(pairOf(person, other))
        if (known) return known
        await performer.connect(other.user)
        const room = await other.accepts(person)
        connected.set(pairOf(person, other), room)
        return room
      },

      async accepts(other) {
        const id = await performer.accept(other.user)
        return { name: `${other.name} and ${account.name}`, id }
      },

      async creates(roomName, members) {
        for (const member of members) await person.connectsWith(member)
        const id = await performer.createGroup(
          roomName,
          members.map((member) => member.user),
        )
        return { name: roomName, id }
      },

      adds: (room, members) =>
        performer.add(
          room.id,
          members.map((member) => member.user),
        ),
      leaves: (room) => performer.leave(room.id),
      sends: (room, text) => performer.send(room.id, text),

      receives(text, where = {}) {
        const { in: room, from, timeoutMs: patienceMs = timeoutMs } = where
        const matches = (happening: Happening): boolean =>
          happening.text === text &&
          (!room || isSameId(happening.event.qualified_conversation, room.id)) &&
          (!from || isSameId(happening.event.qualified_from, from.user))
        return performer.next(matches, patienceMs, `the text ${JSON.stringify(text)}`)
      },

      sees(event, patienceMs = timeoutMs) {
        const isIt = typeof event === 'string' ? (each: WireEvent) => each.type === event : event
        const what = typeof event === 'string' ? event : 'an event'
        return performer.next((happening) => isIt(happening.event), patienceMs, what)
      },

      texts: (room) =>
        performer
          .happenings()
          .filter(({ event }) => !room || isSameId(event.qualified_conversation, room.id))
          .flatMap(({ text }) => (text === undefined ? [] : [text])),
      heard: () => performer.happenings().map(({ event }) => event),

      goesOffline: () => performer.goOffline(),
      comesOnline: () => performer.goOnline(),

      async takesAnotherDevice() {
        const name = `${account.name}'s other device`
        const started = await startClient(name, role.options)
        await started.performer.login(account)
        const otherDevice = await started.performer.registerDevice(account)
        await started.performer.goOnline()
        return play({ ...role, ...started, device: otherDevice })
      },

      [Symbol.asyncDispose]: () => performer[Symbol.asyncDispose](),
    }
    return person
  }

  return {
    mailbox: box,

    async person<Kind extends ClientKind = 'raw'>(
      name: string,
      personOptions: PersonOptions<Kind> = {},
    ) {
      // Users outlive a scenario when the server is not the test's own: names alone may be taken.
      const tag = randomUUID().slice(0, 8)
      const email = `${name}.${tag}@example.org`
      const handle = `${name.toLowerCase()}_${tag}`
      const account = { name, email, password: PASSWORD }
      const started = await startClient(name, personOptions)
      const { performer } = started
      await rawClient(api.rest, { name }).sendActivationCode(email)
      const { code } = await box.activationFor(email)
      const user = await performer.register(account, code)
      const device = await performer.registerDevice(account)
      await performer.setHandle(handle)
      if (personOptions.isOnline ?? true) await performer.goOnline()
      return play({ ...started, account, handle, user, device, options: personOptions })
    },

    [Symbol.asyncDispose]: () => performers.disposeAsync(),
  }
}
