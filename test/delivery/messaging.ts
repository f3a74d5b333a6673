import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { openSqlite } from '../../backend/src/adapters/sqlite/wide-column.ts'
import type { Api, Client } from '../../backend/src/contract/endpoint.ts'
import { deliveriesApi } from '../../backend/src/contract/cannon/internal.ts'
import { attachmentsApi, queueApi } from '../../backend/src/contract/gundeck/attachments.ts'
import { inboxApi, pushApi } from '../../backend/src/contract/gundeck/internal.ts'
import { ringApi } from '../../backend/src/contract/gundeck/ring.ts'
import { notificationsApi } from '../../backend/src/contract/gundeck/notifications.ts'
import { pushTokensApi } from '../../backend/src/contract/gundeck/push-tokens.ts'
import { timeApi } from '../../backend/src/contract/gundeck/time.ts'
import type { ClientId, ConnectionId, UserId } from '../../backend/src/contract/ids.ts'
import { systemClock } from '../../backend/src/platform/clock.ts'
import type { Clock } from '../../backend/src/platform/clock.ts'
import { localClient } from '../../backend/src/platform/http/local-client.ts'
import { startServer } from '../../backend/src/platform/http/server.ts'
import { createServeUpgrade } from '../../backend/src/platform/http/upgrade.ts'
import { systemIds } from '../../backend/src/platform/ids.ts'
import type { Platform, Service } from '../../backend/src/platform/service.ts'
import { generatePrivateKey, publicKeyOf } from '../../backend/src/platform/zauth/keys.ts'
import { createSigner } from '../../backend/src/platform/zauth/signer.ts'
import { createVerifier } from '../../backend/src/platform/zauth/verifier.ts'
import type { NativePush } from '../../backend/src/ports/push.ts'
import type { WideColumnStore } from '../../backend/src/ports/wide-column.ts'
import { CannonConfig, startCannon } from '../../backend/src/services/cannon/index.ts'
import { GundeckConfig, startGundeck } from '../../backend/src/services/gundeck/index.ts'
import type { GundeckHooks } from '../../backend/src/services/gundeck/index.ts'

/** Gundeck and cannon as they run in one process, and clients of both. */
export interface Messaging extends AsyncDisposable {
  readonly push: Client<typeof pushApi>
  readonly inboxes: Client<typeof inboxApi & typeof queueApi>
  readonly public: Client<typeof notificationsApi & typeof pushTokensApi & typeof timeApi>
  readonly gundeck: Service
  readonly cannon: Service
  /** Another start of gundeck on the same data; the earlier one goes on as if it did not know. */
  restartGundeck(hooks?: GundeckHooks): Promise<void>
  readonly db: WideColumnStore
  /** An access token. */
  token(user: UserId, connection?: string, client?: ClientId): string
  /** Opens a socket and resolves when the upgrade was answered. */
  open(path: string, token: string): Promise<TestSocket>
  readonly url: string
}

export interface MessagingOptions {
  readonly db?: WideColumnStore
  readonly clock?: Clock
  readonly hooks?: GundeckHooks
  readonly push?: NativePush
  readonly gundeckConfig?: Partial<GundeckConfig>
  readonly cannonConfig?: Partial<CannonConfig>
  /** Stands between gundeck and its cannon. */
  readonly wrapCannon?: (client: Client<typeof deliveriesApi>) => Client<typeof deliveriesApi>
  readonly isChecked?: boolean
}

export const newUser = (): UserId => randomUUID() as UserId
export const newClient = (): ClientId =>
  randomUUID().replaceAll('-', '').replace(/^0+/, '').slice(0, 15) as ClientId

export async function startMessaging(options: MessagingOptions = {}): Promise<Messaging> {
  const db = options.db ?? (await openSqlite({ file: ':memory:' }))
  const clock = options.clock ?? systemClock()
  const log = pino({ level: process.env['TEST_LOG'] ?? 'silent' })
  const platform: Platform = { log, clock, ids: systemIds() }
  const isChecked = options.isChecked ?? true
  const running: { gundeck?: Service; cannon?: Service } = {}
  const cannonRoutes = () => running.cannon?.routes ?? []
  const key = generatePrivateKey()
  const nowSeconds = () => Math.floor(clock.nowMs() / 1000)
  const tokens = createVerifier({ publicKeys: [publicKeyOf(key)], nowSeconds, cacheSize: 1000 })
  const signer = createSigner({ privateKeys: [key] })

  /** A client of whichever gundeck runs at the moment of the call. */
  function clientOf<A extends Api>(api: A): Client<A> {
    const clients = new Map<Service | undefined, Client<A>>()
    const current = (): Client<A> => {
      const known = clients.get(running.gundeck)
      if (known) return known
      const { gundeck } = running
      const made = localClient(api, () => gundeck?.routes ?? [], { isChecked })
      clients.set(gundeck, made)
      return made
    }
    const calls = Object.keys(api).map((name) => [
      name,
      (input: unknown) => (current()[name] as (input: unknown) => unknown)(input),
    ])
    return Object.fromEntries(calls) as Client<A>
  }

  const cannonClient = localClient(deliveriesApi, cannonRoutes, { isChecked })
  const gundecks: Service[] = []
  async function runGundeck(hooks: GundeckHooks | undefined): Promise<void> {
    const started = await startGundeck({
      config: GundeckConfig.parse(options.gundeckConfig ?? {}),
      platform,
      db,
      isAlone: true,
      address: 'local',
      ownerAt: () => clientOf({ ...pushApi, ...inboxApi, ...queueApi }),
      cannonAt: () => options.wrapCannon?.(cannonClient) ?? cannonClient,
      brig: { touchClient: async () => ({ status: 200, headers: {}, body: {} }) },
      ...(options.push ? { push: options.push } : {}),
      ...(hooks ? { hooks } : {}),
    })
    gundecks.push(started)
    running.gundeck = started
  }
  await runGundeck(options.hooks)
  const cannon = await startCannon({
    config: CannonConfig.parse(options.cannonConfig ?? {}),
    platform,
    tokens,
    gundeck: clientOf({ ...attachmentsApi, ...queueApi, ...ringApi }),
    ownerAt: () => clientOf({ ...attachmentsApi, ...ringApi }),
    address: 'local',
  })
  running.cannon = cannon
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (_request, response) => response.writeHead(404).end(),
    upgrade: createServeUpgrade({ routes: cannon.sockets, platform, addressOf: () => '' }),
  })

  return {
    push: clientOf(pushApi),
    inboxes: clientOf({ ...inboxApi, ...queueApi }),
    public: clientOf({ ...notificationsApi, ...pushTokensApi, ...timeApi }),
    get gundeck() {
      if (!running.gundeck) throw new Error('gundeck runs')
      return running.gundeck
    },
    cannon,
    restartGundeck: runGundeck,
    db,
    url: server.url,
    token: (user, connection = '1', client) =>
      signer.sign({
        type: 'access',
        user,
        connection: connection as ConnectionId,
        expiresAtSeconds: nowSeconds() + 900,
        isSession: false,
        ...(client === undefined ? {} : { client }),
      }),
    open: (path, token) => openSocket(server.url, path, token),
    async [Symbol.asyncDispose]() {
      await cannon[Symbol.asyncDispose]()
      for (const gundeck of gundecks) await gundeck[Symbol.asyncDispose]()
      await server.close(0)
      if (!options.db) await db[Symbol.asyncDispose]()
    },
  }
}

/** The client's end of a socket; frames wait until a test takes them. */
export interface TestSocket {
  /** The next frame, parsed; rejects when the socket closes before it comes. */
  next(): Promise<unknown>
  /** Frames that have come and were not taken. */
  readonly waiting: number
  /** Resolves with code and reason. */
  readonly closed: Promise<{ code: number; reason: string }>
  readonly ws: WebSocket
}

export function openSocket(url: string, path: string, token: string): Promise<TestSocket> {
  const separator = path.includes('?') ? '&' : '?'
  const target = `${url.replace('http', 'ws')}${path}${separator}access_token=${encodeURIComponent(token)}`
  const ws = new WebSocket(target, { perMessageDeflate: false })
  const frames: unknown[] = []
  const takers: PromiseWithResolvers<unknown>[] = []
  ws.on('message', (bytes: Buffer, isBinary) => {
    const text = bytes.toString('latin1')
    const frame: unknown = isBinary ? (text.startsWith('{') ? JSON.parse(text) : text) : { text }
    const taker = takers.shift()
    if (taker) taker.resolve(frame)
    else frames.push(frame)
  })
  const { promise: closed, resolve: close } = Promise.withResolvers<{
    code: number
    reason: string
  }>()
  ws.on('close', (code, reason) => {
    close({ code, reason: reason.toString() })
    for (const taker of takers) taker.reject(new Error(`closed with ${String(code)}`))
  })
  return new Promise((resolve, reject) => {
    ws.on('error', reject)
    ws.on('unexpected-response', (_request, response) => {
      reject(new Error(`refused with ${String(response.statusCode)}`))
    })
    ws.on('open', () => {
      resolve({
        next() {
          if (frames.length > 0) return Promise.resolve(frames.shift())
          const taker = Promise.withResolvers<unknown>()
          takers.push(taker)
          return taker.promise
        },
        get waiting() {
          return frames.length
        },
        closed,
        ws,
      })
    })
  })
}
