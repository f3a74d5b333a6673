import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { expect } from 'vitest'
import { checkExchange } from '../../../../test/conformance/check.ts'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import { Unavailable } from '../../contract/error.ts'
import { UserEvent } from '../../contract/events/user.ts'
import type { Push } from '../../contract/gundeck/internal.ts'
import type { Domain, UserId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { createServe } from '../../platform/http/serve.ts'
import { systemIds } from '../../platform/ids.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { generatePrivateKey, publicKeyOf } from '../../platform/zauth/keys.ts'
import { createVerifier } from '../../platform/zauth/verifier.ts'
import type { Mail } from '../../ports/mail.ts'
import type { UserDocument, UserSearch } from '../../ports/search.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { BrigConfig } from './config.ts'
import { startBrig } from './index.ts'
import type { BrigDeps } from './index.ts'

export const domain = 'tricord.internal' as Domain
export const password = 'correct horse'

export interface Reply {
  status: number
  headers: Headers
  /** The value of the session cookie, when one was set. */
  cookie: string | undefined
  // Tests look into replies freely; what they find there is checked by what they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface TestCall {
  as?: UserId
  connection?: string
  version?: number
  body?: unknown
  cookie?: string | undefined
  token?: string
  address?: string
}

export interface TestAccount {
  id: UserId
  email: string
  cookie: string
}

export type TestBrig = Awaited<ReturnType<typeof startTestBrig>>

/** Brig over HTTP, with a real store; its neighbours note what they hear and fail when told to. */
export async function startTestBrig(
  given: {
    config?: object
    /** Stands between brig and its store. */
    wrapStore?: (db: WideColumnStore) => WideColumnStore
  } = {},
) {
  const clock = fakeClock()
  const ids = systemIds()
  const store = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  const db = given.wrapStore?.(store) ?? store
  const unlimited = { perSecond: 1000, burst: 1000 }
  const config = BrigConfig.parse({
    passwords: { perUser: unlimited, perAddress: unlimited },
    ...given.config,
  })
  const keys = [generatePrivateKey()]
  const tokens = createVerifier({
    publicKeys: keys.map(publicKeyOf),
    nowSeconds: () => Math.floor(clock.nowMs() / 1000),
    cacheSize: 100,
  })

  /** Names of calls that fail before they do anything, as often as they stand here. */
  const failing: string[] = []
  const calls: string[] = []
  function note(name: string): void {
    const index = failing.indexOf(name)
    if (index !== -1) {
      failing.splice(index, 1)
      throw new Unavailable(`${name}, as the test wants`)
    }
    calls.push(name)
  }
  const mails: Mail[] = []
  const pushes: Push[] = []
  const documents = new Map<UserId, UserDocument>()
  const search: UserSearch = {
    isEmpty: () => Promise.resolve(documents.size === 0),
    async index(added) {
      note('index')
      for (const document of added) documents.set(document.user, document)
    },
    async remove(removed) {
      note('unindex')
      for (const user of removed) documents.delete(user)
    },
    find: () => Promise.resolve({ documents: [], found: 0, tookMs: 0 }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  /** A neighbour's client: each call is noted and answered. */
  const neighbour = (answers: Record<string, (input: never) => unknown> = {}) =>
    new Proxy(answers, {
      get: (_, name: string) => async (input: never) => {
        note(name)
        return { status: 200, headers: {}, body: answers[name]?.(input) }
      },
    })

  const deps: BrigDeps = {
    config,
    domain,
    platform: { clock, ids, log: pino({ level: 'silent' }) },
    db,
    search,
    mail: {
      async send(mail) {
        note('mail')
        mails.push(mail)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    keys,
    tokens,
    galley: neighbour({
      createConnectConversation: ({ body }: { body: { to: UserId } }) => ({
        conversation: { domain, id: body.to },
      }),
    }) as unknown as BrigDeps['galley'],
    gundeck: neighbour({
      push({ body }: { body: { pushes: Push[] } }) {
        for (const push of body.pushes) {
          for (const event of push.events ?? []) UserEvent.parse(JSON.parse(JSON.stringify(event)))
          pushes.push(push)
        }
        return { eventTimesMs: [] }
      },
    }) as unknown as BrigDeps['gundeck'],
    passwordCost: { memoryKib: 8, passes: 1, lanes: 1 },
  }
  const brig = await startBrig(deps)
  const serve = createServe({
    routes: brig.routes,
    platform: deps.platform,
    metrics: createMetrics('brig'),
    isStrict: true,
  })
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  async function call(method: string, path: string, options: TestCall = {}): Promise<Reply> {
    const { as, connection = '1', version = 15, body, cookie, token, address } = options
    const url = `/v${String(version)}${path}`
    const headers: Record<string, string> = {
      ...(as !== undefined && { 'z-user': as, 'z-connection': connection }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(cookie !== undefined && { cookie: `zuid=${cookie}` }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(address !== undefined && { 'z-address': address }),
    }
    const response = await fetch(`http://127.0.0.1:${String(port)}${url}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    const { problems } = checkExchange({
      method,
      path: url.split('?')[0] ?? url,
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text,
    })
    expect(problems, `${method} ${url} ${String(response.status)}: ${text}`).toEqual([])
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    const setCookies = response.headers.getSetCookie()
    // Wire's library for Node takes any cookie for the session's.
    expect(setCookies.length).toBeLessThanOrEqual(1)
    return {
      status: response.status,
      headers: response.headers,
      cookie: /^zuid=([^;]*)/.exec(setCookies[0] ?? '')?.[1],
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
  }

  /** Key and code of the latest mail to the address. */
  async function secretFor(email: string): Promise<{ key: string; code: string }> {
    for (let i = 0; i < 20 && !mails.some(({ to }) => to === email); i += 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const headers = mails.findLast(({ to }) => to === email)?.headers
    return { key: headers?.['X-Zeta-Key'] ?? '', code: headers?.['X-Zeta-Code'] ?? '' }
  }

  async function register(fields: Record<string, unknown> = {}): Promise<TestAccount> {
    const email = (fields['email'] as string | undefined) ?? `${ids.uuid()}@example.com`
    const sent = await call('POST', '/activate/send', { body: { email } })
    expect(sent.status).toBe(200)
    const { code } = await secretFor(email)
    const body = { name: 'Alice', email, email_code: code, password, ...fields }
    const reply = await call('POST', '/register', { body })
    expect(reply.status, JSON.stringify(reply.body)).toBe(201)
    return { id: reply.body.id as UserId, email, cookie: reply.cookie ?? '' }
  }

  return {
    ...deps,
    clock,
    brig,
    call,
    calls,
    failing,
    mails,
    pushes,
    documents,
    secretFor,
    register,
    login: (email: string, fields: Record<string, unknown> = {}, persist = true) =>
      call('POST', `/login?persist=${String(persist)}`, { body: { email, password, ...fields } }),
    /** Moves the clock until the work is done, for work that sleeps. */
    async whileTimePasses<T>(work: Promise<T>): Promise<T> {
      const state = { isDone: false }
      const finished = work.finally(() => {
        state.isDone = true
      })
      while (!state.isDone) {
        await new Promise((resolve) => setImmediate(resolve))
        await clock.advance(100)
      }
      return finished
    },
    /** Events so far that this user's devices got. */
    eventsOf: (user: UserId) =>
      pushes
        .filter(({ recipients }) => recipients.some((recipient) => recipient.user === user))
        .flatMap(({ events = [] }) => events),
    async [Symbol.asyncDispose]() {
      await brig[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await store[Symbol.asyncDispose]()
    },
  }
}
