import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { expect } from 'vitest'
import { checkExchange } from '../../../../test/conformance/check.ts'
import { newDeviceKeys } from '../../../../test/support/wire/prekeys.ts'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import type { Email, Handle, Locale } from '../../contract/brig/user-fields.ts'
import { Unavailable } from '../../contract/error.ts'
import { UserEvent } from '../../contract/events/user.ts'
import type { ClientId, ConnectionId, Domain, UserId } from '../../contract/ids.ts'
import { QualifiedConversationId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { createServe } from '../../platform/http/serve.ts'
import { systemIds } from '../../platform/ids.ts'
import { createMetrics } from '../../platform/metrics.ts'
import type { UserDocument, UserQuery, UserSearch } from '../../ports/search.ts'
import type { UserPush } from './events.ts'
import { PeopleConfig } from './people-config.ts'
import { peopleFor, peopleRoutes, peopleTables, type PeopleRoutesDeps } from './people.ts'
import { userStore, usersTable, type User } from './store/users.ts'
import { openTurn } from './turn.ts'

/** Version 4, so that conversation ids can be made of them. */
export const newId = () => systemIds().uuid()
export const domain = 'tricord.internal' as Domain

export interface Reply {
  status: number
  headers: Headers
  text: string
  // Tests look into replies freely; what they find there is checked by what they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface TestCall {
  as: UserId
  connection?: string
  version?: number
  body?: unknown
  /** Sent as it is. */
  text?: string
}

export type TestPeople = Awaited<ReturnType<typeof startTestPeople>>

/** The people half of brig over HTTP, with a real store and neighbours that note what they hear. */
export async function startTestPeople(given: { config?: unknown } = {}) {
  const clock = fakeClock()
  const ids = systemIds()
  const db = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  await db.open([...peopleTables, usersTable])
  const users = userStore(db, clock)
  const config = PeopleConfig.parse(given.config ?? {})
  const passwords = new Map<UserId, string>()

  /** Names of calls that fail once more each, before they do anything. */
  const failing: string[] = []
  const calls: { name: string; input: unknown }[] = []
  async function note(name: string, input: unknown): Promise<void> {
    await Promise.resolve()
    const index = failing.indexOf(name)
    if (index !== -1) {
      failing.splice(index, 1)
      throw new Unavailable(`${name}, as the test wants`)
    }
    calls.push({ name, input })
  }
  /** A neighbour's client: each call is noted and answered with nothing. */
  const neighbour = (answers: Record<string, (input: never) => unknown> = {}) =>
    new Proxy(answers, {
      get: (_, name: string) => async (input: never) => {
        await note(name, input)
        return { status: 200, headers: {}, body: answers[name]?.(input) }
      },
    })

  const pushed: UserPush[] = []
  const documents = new Map<UserId, UserDocument>()
  const queries: UserQuery[] = []
  const deps: PeopleRoutesDeps = {
    config,
    domain,
    platform: { clock, ids, log: pino({ level: 'silent' }) },
    db,
    users,
    turn: await openTurn(config.turn),
    search: memorySearch(documents, queries, note),
    handles: {
      async find(handle) {
        const { users: all } = await users.scan()
        return all.find((user) => user.handle === handle && user.status !== 'deleted')
      },
    },
    events: {
      async publish(pushes) {
        await note('publish', pushes)
        for (const push of pushes) {
          UserEvent.parse(JSON.parse(JSON.stringify(push.event)))
          pushed.push(push)
        }
      },
    },
    accounts: {
      async checkPassword(user, password) {
        await note('checkPassword', { user })
        const right = passwords.get(user)
        if (right === undefined) return 'none'
        if (password === undefined) return 'missing'
        return password === right ? 'right' : 'wrong'
      },
      revokeCookies: (user, labels) => note('revokeCookies', { user, labels }),
      mailNewDevice: (user, device) => note('mailNewDevice', { user: user.id, device }),
    },
    galley: neighbour({
      createConnectConversation: ({ body }: { body: { from: UserId; to: UserId } }) => ({
        conversation: QualifiedConversationId.parse({
          domain,
          id: body.from < body.to ? body.from : body.to,
        }),
      }),
    }) as unknown as PeopleRoutesDeps['galley'],
    gundeck: neighbour() as unknown as PeopleRoutesDeps['gundeck'],
  }

  const routes = peopleRoutes(deps)
  const serve = createServe({
    routes,
    platform: deps.platform,
    metrics: createMetrics('brig'),
    isStrict: true,
  })
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  async function call(method: string, path: string, options: TestCall): Promise<Reply> {
    const { as, connection = '1', version = 15 } = options
    const isInternal = path.startsWith('/i/')
    const url = isInternal ? path : `/v${String(version)}${path}`
    const text = options.text ?? (options.body === undefined ? null : JSON.stringify(options.body))
    const response = await fetch(`http://127.0.0.1:${String(port)}${url}`, {
      method,
      body: text,
      headers: {
        'z-user': as,
        'z-connection': connection,
        ...(text !== null && { 'content-type': 'application/json' }),
      },
    })
    const replyText = await response.text()
    if (!isInternal) {
      const { problems } = checkExchange({
        method,
        path: url.split('?')[0] ?? url,
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: replyText,
      })
      const asked = `${method} ${url} ${String(response.status)}: ${replyText}`
      expect(problems, asked).toEqual([])
    }
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return {
      status: response.status,
      headers: response.headers,
      text: replyText,
      body: isJson && replyText !== '' ? JSON.parse(replyText) : undefined,
    }
  }

  return {
    ...deps,
    people: peopleFor(deps),
    clock,
    call,
    calls,
    failing,
    pushed,
    documents,
    queries,
    passwords,
    /** Calls of neighbours so far, by name. */
    callsOf: (name: string) => calls.filter((known) => known.name === name).map((c) => c.input),
    /** Events so far that this user's devices got. */
    eventsOf: (user: UserId) =>
      pushed.filter(({ recipients }) => recipients.includes(user)).map(({ event }) => event),
    async addUser(fields: Partial<User> = {}): Promise<UserId> {
      const id = newId() as UserId
      await users.create({
        id,
        name: 'Somebody',
        accentId: 0,
        assets: [],
        picture: [],
        locale: 'en' as Locale,
        email: `${id}@example.org` as Email,
        status: 'active',
        isActivated: true,
        managedBy: 'wire',
        supportedProtocols: ['proteus'],
        type: 'regular',
        isSearchable: true,
        createdMs: clock.nowMs(),
        ...fields,
      })
      return id
    },
    async addClient(user: UserId, fields: Record<string, unknown> = {}): Promise<ClientId> {
      const body = newClientBody(fields)
      const reply = await call('POST', '/clients', { as: user, body })
      expect(reply.status, reply.text).toBe(201)
      return reply.body.id as ClientId
    },
    async connect(one: UserId, other: UserId): Promise<void> {
      const path = (user: UserId) => `/connections/${domain}/${user}`
      const asked = await call('POST', path(other), { as: one })
      expect(asked.status, asked.text).toBe(201)
      const body = { status: 'accepted' }
      const answered = await call('PUT', path(one), { as: other, body })
      expect(answered.status, answered.text).toBe(200)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await db[Symbol.asyncDispose]()
    },
  }
}

/** A valid body of `POST /clients`, of a new device each time. */
export function newClientBody(fields: Record<string, unknown> = {}) {
  const { prekeys, lastkey } = newDeviceKeys(3)
  return { type: 'permanent', prekeys, lastkey, ...fields }
}

export const origin = (user: UserId, connection = '1') => ({
  user,
  connection: connection as ConnectionId,
})
export const handle = (text: string) => text as Handle

function memorySearch(
  documents: Map<UserId, UserDocument>,
  queries: UserQuery[],
  note: (name: string, input: unknown) => Promise<void>,
): UserSearch {
  return {
    isEmpty: () => Promise.resolve(documents.size === 0),
    async index(added) {
      await note('index', added)
      for (const document of added) documents.set(document.user, document)
    },
    async remove(removed) {
      await note('unindex', removed)
      for (const user of removed) documents.delete(user)
    },
    find(query) {
      queries.push(query)
      const word = query.text.toLowerCase()
      const found = [...documents.values()].filter(
        ({ user, name, type, isActive, isSearchable }) =>
          user !== query.searcher &&
          isActive &&
          isSearchable &&
          name.toLowerCase().startsWith(word) &&
          (query.type ?? type) === type,
      )
      return Promise.resolve({
        documents: found.slice(0, query.size),
        found: found.length,
        tookMs: 3,
      })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
