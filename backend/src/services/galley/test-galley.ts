import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { expect } from 'vitest'
import type { z } from 'zod'
import { checkExchange } from '../../../../test/conformance/check.ts'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import type { UserSummary } from '../../contract/brig/internal.ts'
import { Unavailable } from '../../contract/error.ts'
import { ConversationEvent } from '../../contract/events/conversation.ts'
import type { OwnConversation } from '../../contract/galley/conversation-fields.ts'
import { galleyInternalApi } from '../../contract/galley/internal.ts'
import { Push } from '../../contract/gundeck/internal.ts'
import { formatTimestamp } from '../../contract/ids.ts'
import type { ClientId, ConnectionId, Domain, UserId } from '../../contract/ids.ts'
import { encodeOtrMessage } from '../../contract/proteus/otr-message-encoder.ts'
import type { MismatchStrategy, OtrMessage } from '../../contract/proteus/otr-message.ts'
import { fakeClock, type FakeClock } from '../../platform/fake-clock.ts'
import { localClient } from '../../platform/http/local-client.ts'
import { createServe } from '../../platform/http/serve.ts'
import { systemIds } from '../../platform/ids.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createPasswords } from '../../platform/passwords.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { GalleyConfig } from './config.ts'
import { startGalley, type GalleyDeps } from './index.ts'

export const domain = 'example.org' as Domain

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

/** Replies of any shape, read by path: `at(reply.body, 'members', 'self')`. */
export const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (inner as Readonly<Record<string | number, unknown>> | undefined)?.[key],
    value,
  )

export interface Person {
  readonly id: UserId
  readonly qualified: { domain: Domain; id: UserId }
  readonly connection: ConnectionId
  call(method: string, path: string, body?: unknown): Promise<Reply>
  sendBytes(path: string, bytes: Uint8Array, type: string): Promise<Reply>
  createGroup(others?: readonly Person[], more?: object): Promise<OwnConversation>
  /** Sends to these devices, each with a text of its own. */
  send(
    path: string,
    sender: ClientId,
    to: readonly (readonly [Person, ...ClientId[]])[],
    more?: Partial<Omit<OtrMessage, 'sender' | 'recipients'>>,
  ): Promise<Reply>
}

/** What a user finds in the inbox: events in their order, each with the devices that may see it. */
export interface InboxEntry {
  readonly requestId: string
  readonly event: ConversationEvent
  readonly clients: readonly ClientId[] | undefined
  readonly origin: { user: UserId; connection: ConnectionId } | undefined
  readonly isTransient: boolean
  readonly priority: 'low' | 'high'
}

/** Stores a push once, as gundeck does, and can be told to fail. */
export function fakeGundeck() {
  const inboxes = new Map<UserId, InboxEntry[]>()
  const timesOf = new Map<string, Record<UserId, number>>()
  const calls: { isRepeat: boolean; firstAttemptAgeMs?: number | undefined }[] = []
  let failing: (() => 'before' | 'after' | undefined) | undefined

  function store(push: Push): Record<UserId, number> {
    const known = timesOf.get(push.requestId)
    if (known) return known
    const times: Record<UserId, number> = {}
    for (const { user, clients, events = push.events ?? [] } of push.recipients) {
      const inbox = inboxes.get(user) ?? []
      inboxes.set(user, inbox)
      const timeMs = push.eventTimeMs ?? 0
      times[user] = timeMs
      for (const body of events) {
        // Every event is held against its declaration, and lives through JSON.
        const event = ConversationEvent.parse({
          ...(JSON.parse(JSON.stringify(body)) as object),
          time: formatTimestamp(timeMs),
        })
        inbox.push({
          requestId: push.requestId,
          event,
          clients,
          origin: push.origin,
          isTransient: push.isTransient ?? false,
          priority: push.priority ?? 'high',
        })
      }
    }
    timesOf.set(push.requestId, times)
    return times
  }

  const client: GalleyDeps['gundeck'] = {
    async push({ body }) {
      const { pushes, isRepeat = false, firstAttemptAgeMs } = body
      calls.push({ isRepeat, firstAttemptAgeMs })
      const failure = failing?.()
      if (failure === 'before') throw new Unavailable('gundeck is away')
      const eventTimesMs = pushes.map((push) => store(Push.parse(push)))
      if (failure === 'after') throw new Unavailable('the answer of gundeck got lost')
      return { status: 200, headers: {}, body: { eventTimesMs } }
    },
  }
  return {
    client,
    calls,
    /** Asked at each call: whether it fails, and before or after the push was stored. */
    failWhile(when: typeof failing) {
      failing = when
    },
    inboxOf: (user: { id: UserId }): readonly InboxEntry[] => inboxes.get(user.id) ?? [],
    /** Only the types, which is what most tests ask for. */
    typesFor: (user: { id: UserId }): string[] =>
      (inboxes.get(user.id) ?? []).map(({ event }) => event.type),
    clear: () => inboxes.clear(),
  }
}

export function fakeBrig() {
  const summaries = new Map<UserId, UserSummary>()
  const connections = new Set<string>()
  const pair = (one: UserId, other: UserId) => [one, other].sort().join()
  const areConnected = (one: UserId, other: UserId) => connections.has(pair(one, other))
  const client: GalleyDeps['brig'] = {
    listUserSummaries: async ({ body }) => ({
      status: 200,
      headers: {},
      body: { users: body.users.flatMap((id) => summaries.get(id) ?? []) },
    }),
    listConnected: async ({ body }) => ({
      status: 200,
      headers: {},
      body: {
        connected: body.others.filter((other) => areConnected(body.user, other)),
      },
    }),
    listContacts: async ({ body }) => ({
      status: 200,
      headers: {},
      body: {
        contacts: [...summaries.keys()].filter((id) => areConnected(body.user, id)),
      },
    }),
  }
  return {
    client,
    add: (user: UserSummary) => summaries.set(user.id, user),
    connect(...users: readonly { id: UserId }[]) {
      for (const one of users) {
        for (const other of users) if (one !== other) connections.add(pair(one.id, other.id))
      }
    },
  }
}

export interface TestGalley extends AsyncDisposable {
  readonly clock: FakeClock
  readonly gundeck: ReturnType<typeof fakeGundeck>
  readonly brig: ReturnType<typeof fakeBrig>
  readonly db: WideColumnStore
  readonly internal: ReturnType<typeof localClient<typeof galleyInternalApi>>
  person(more?: Partial<UserSummary>): Person
  /** Somebody known to another galley, calling this one. */
  personOf(person: Person): Person
  /** People who are all connected with one another. */
  friends(count: number): Person[]
  addClient(user: Person, client: string): Promise<ClientId>
}

/**
 * galley behind a real listener, over SQLite in memory. Every reply is held against the shapes of
 * its API version.
 */
export async function startTestGalley(
  options: {
    config?: z.input<typeof GalleyConfig>
    clock?: FakeClock
    gundeck?: ReturnType<typeof fakeGundeck>
    brig?: ReturnType<typeof fakeBrig>
    db?: WideColumnStore
    isAlone?: boolean
  } = {},
): Promise<TestGalley> {
  const clock = options.clock ?? fakeClock()
  const gundeck = options.gundeck ?? fakeGundeck()
  const brig = options.brig ?? fakeBrig()
  const db = options.db ?? (await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() }))
  const ids = systemIds()
  const platform = { log: pino({ level: 'silent' }), clock, ids }
  const galley = await startGalley({
    config: GalleyConfig.parse(options.config ?? {}),
    domain,
    platform,
    db,
    isAlone: options.isAlone ?? true,
    passwords: createPasswords({ ids, cost: { memoryKib: 8, passes: 1, lanes: 1 } }),
    brig: brig.client,
    gundeck: gundeck.client,
  })
  const serve = createServe({
    routes: galley.routes,
    platform,
    metrics: createMetrics('galley'),
    isStrict: true,
  })
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`

  async function call(
    caller: Pick<Person, 'id' | 'connection'>,
    method: string,
    path: string,
    body?: { bytes: Uint8Array<ArrayBuffer> | string; type: string },
  ): Promise<Reply> {
    const fullPath = /^\/v\d+\//.test(path) ? path : `/v15${path}`
    const response = await fetch(`${url}${fullPath}`, {
      method,
      headers: {
        'z-user': caller.id,
        'z-connection': caller.connection,
        ...(body && { 'content-type': body.type }),
      },
      ...(body && { body: body.bytes }),
    })
    const text = await response.text()
    const verdict = checkExchange({
      method,
      path: fullPath.split('?')[0] ?? '',
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text,
    })
    if (response.status < 500 || response.status === 533) expect(verdict.problems).toEqual([])
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Reply['body'],
    }
  }

  function person(more: Partial<UserSummary> = {}): Person {
    const self = { id: ids.uuid() as UserId, connection: ids.token(6) as ConnectionId }
    brig.add({
      id: self.id,
      name: 'Someone',
      status: 'active',
      type: 'regular',
      isActivated: true,
      ...more,
    })
    return personOf(self)
  }

  function personOf({ id, connection }: Pick<Person, 'id' | 'connection'>): Person {
    const self = { id, connection }
    return {
      ...self,
      qualified: { domain, id },
      call: (method, path, body) =>
        call(
          self,
          method,
          path,
          body === undefined
            ? undefined
            : { bytes: JSON.stringify(body), type: 'application/json' },
        ),
      sendBytes: (path, bytes, type) =>
        call(self, 'POST', path, { bytes: new Uint8Array(bytes), type }),
      async createGroup(others = [], extra = {}) {
        const reply = await this.call('POST', '/v9/conversations', {
          qualified_users: others.map(({ qualified }) => qualified),
          ...extra,
        })
        expect(reply.status).toBe(201)
        return reply.body as unknown as OwnConversation
      },
      async send(path, sender, to, extra = {}) {
        const users = new Map(
          to.map(([{ id }, ...clients]) => [
            id,
            new Map(clients.map((client) => [client, Buffer.from(`for ${client}`)])),
          ]),
        )
        const strategy: MismatchStrategy = { kind: 'report-all' }
        const message: OtrMessage = {
          sender,
          recipients: new Map([[domain, users]]),
          nativePush: true,
          transient: false,
          strategy,
          ...extra,
        }
        return this.sendBytes(path, encodeOtrMessage(message), 'application/x-protobuf')
      },
    }
  }

  const internal = localClient(galleyInternalApi, () => galley.routes, { isChecked: true })
  return {
    clock,
    gundeck,
    brig,
    db,
    internal,
    person,
    personOf,
    friends(count) {
      const people = Array.from({ length: count }, () => person())
      brig.connect(...people)
      return people
    },
    async addClient(user, client) {
      const id = client as ClientId
      await internal.addClient({ params: { user: user.id, client: id } })
      return id
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      await galley[Symbol.asyncDispose]()
      if (!options.db) await db[Symbol.asyncDispose]()
    },
  }
}

/** Lets fake time pass until the work is done. */
export async function whileTimePasses<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  // A failure is the caller's to see, below.
  done.catch(() => undefined)
  while (!isDone) {
    await clock.advance(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return done
}

export const pathOf = (conversation: { id: string }, rest = ''): string =>
  `/conversations/${domain}/${conversation.id}${rest}`
