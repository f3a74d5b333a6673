import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { Delivery, deliveriesApi } from '../../../contract/cannon/internal.ts'
import type { Client } from '../../../contract/endpoint.ts'
import { attachmentsApi, queueApi } from '../../../contract/gundeck/attachments.ts'
import { inboxApi, pushApi } from '../../../contract/gundeck/internal.ts'
import type { Push } from '../../../contract/gundeck/internal.ts'
import { ringApi } from '../../../contract/gundeck/ring.ts'
import { notificationsApi } from '../../../contract/gundeck/notifications.ts'
import { pushTokensApi } from '../../../contract/gundeck/push-tokens.ts'
import { timeApi } from '../../../contract/gundeck/time.ts'
import type { ClientId, ConnectionId, NotificationId, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { FakeClock } from '../../../platform/fake-clock.ts'
import { localClient } from '../../../platform/http/local-client.ts'
import { systemIds } from '../../../platform/ids.ts'
import type { Service } from '../../../platform/service.ts'
import type { NativePush } from '../../../ports/push.ts'
import { GundeckConfig, startGundeck } from '../index.ts'
import type { GundeckHooks } from '../index.ts'
import type { MainPort } from '../ring/beat-thread.ts'
import { faultyStore } from './faulty-store.ts'
import type { FaultyStore } from './faulty-store.ts'

export const newUser = (): UserId => randomUUID() as UserId
export const newClient = (): ClientId =>
  randomUUID().replaceAll('-', '').replace(/^0+/, '').slice(0, 15) as ClientId

export interface Shown {
  id: NotificationId
  payload: Record<string, unknown>[]
}

const gundeckApi = {
  ...pushApi,
  ...inboxApi,
  ...attachmentsApi,
  ...queueApi,
  ...notificationsApi,
  ...pushTokensApi,
  ...timeApi,
  ...ringApi,
}

/** A gundeck on a store in memory, with a clock that stands still and a cannon made of paper. */
export interface TestGundeck {
  readonly service: Service
  readonly client: Client<typeof gundeckApi>
  readonly clock: FakeClock
  readonly store: FaultyStore
  /** What the cannon was given, in order. */
  readonly delivered: Delivery[]
  readonly lost: number[]
  readonly closed: { attachment: number; reason: string }[]
  /** Stands between gundeck and the cannon; throws to lose a call. */
  onDeliver: () => Promise<void> | void
  /** Starts another gundeck on the same data, as if this one had been killed. */
  restart(hooks?: GundeckHooks): Promise<TestGundeck>
  stop(): Promise<void>
}

export interface TestGundeckOptions {
  clock?: FakeClock
  store?: FaultyStore
  hooks?: GundeckHooks
  config?: Partial<GundeckConfig>
  push?: NativePush
  address?: string
  /** The gundecks that share the store; alone when absent. */
  findPeer?: (address: string) => Client<typeof gundeckApi> | undefined
  /** To who gives the sign of life; this gundeck itself when absent. */
  beatPort?: MainPort
  /** What brig is told. */
  onTouch?: (body: unknown) => void
}

export async function startTestGundeck(options: TestGundeckOptions = {}): Promise<TestGundeck> {
  const clock = options.clock ?? fakeClock()
  const store =
    options.store ?? faultyStore(await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() }))
  const delivered: Delivery[] = []
  const lost: number[] = []
  const closed: { attachment: number; reason: string }[] = []
  const cannon: Client<typeof deliveriesApi> = {
    async deliver({ body }) {
      await test.onDeliver()
      delivered.push(...structuredClone(body.deliveries))
      lost.push(...body.lost)
      closed.push(...body.close)
      return { status: 200, headers: {}, body: { unknown: [] } }
    },
  }
  const service = await startGundeck({
    config: GundeckConfig.parse(options.config ?? {}),
    platform: {
      log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
      clock,
      ids: systemIds(),
    },
    db: store,
    isAlone: options.findPeer === undefined,
    address: options.address ?? 'here',
    cannonAt: () => cannon,
    ownerAt: (address) => {
      const owner = options.findPeer?.(address)
      if (owner === undefined) throw new Unavailable('nobody answers there')
      return owner
    },
    brig: {
      async touchClient({ body }) {
        options.onTouch?.(body)
        return { status: 200, headers: {}, body: {} }
      },
    },
    ...(options.hooks ? { hooks: options.hooks } : {}),
    ...(options.beatPort ? { beatPort: options.beatPort } : {}),
    ...(options.push ? { push: options.push } : {}),
  })
  const test: TestGundeck = {
    service,
    client: localClient(gundeckApi, () => service.routes, { isChecked: true }),
    clock,
    store,
    delivered,
    lost,
    closed,
    onDeliver: () => undefined,
    restart: (hooks) => {
      const { hooks: _, ...others } = options
      return startTestGundeck({ ...others, clock, store, ...(hooks ? { hooks } : {}) })
    },
    stop: async () => {
      await service[Symbol.asyncDispose]()
    },
  }
  return test
}

/** A push of one small event to one user. */
export function pushTo(user: UserId, text: string, more: Partial<Push> = {}): Push {
  return {
    requestId: randomUUID(),
    recipients: [{ user }],
    events: [{ type: 'test', text }],
    isTransient: false,
    priority: 'high',
    ...more,
  }
}

/** Sends, and returns the event time written for the user, if any. */
export async function send(
  gundeck: TestGundeck,
  user: UserId,
  push: Push,
  attempt: { isRepeat?: boolean; firstAttemptAgeMs?: number } = {},
): Promise<number | undefined> {
  const { body } = await gundeck.client.push({ body: { pushes: [push], ...attempt } })
  return body.eventTimesMs[0]?.[user]
}

export interface PageAsk {
  since?: string
  client?: ClientId
  size?: number
}

export async function fetchPage(
  gundeck: TestGundeck,
  user: UserId,
  query: PageAsk = {},
): Promise<{ notifications: Shown[]; has_more: boolean; time: string }> {
  const caller = { user, client: undefined, connection: '1' as ConnectionId }
  const { body } = await gundeck.client.getNotifications({ caller, query })
  return JSON.parse(body) as { notifications: Shown[]; has_more: boolean; time: string }
}

/** The texts of `pushTo`, in the order of the inbox. */
export async function textsOf(gundeck: TestGundeck, user: UserId): Promise<string[]> {
  const texts: string[] = []
  let since: string | undefined
  for (;;) {
    const page = await fetchPage(gundeck, user, since === undefined ? {} : { since })
    for (const { payload, id } of page.notifications) {
      since = id
      for (const { text } of payload) texts.push(String(text))
    }
    if (!page.has_more) return texts
  }
}

let attachments = 0
/** Attaches a socket made of paper; resolves to its number and position. */
export async function attach(
  gundeck: TestGundeck,
  user: UserId,
  place: { client?: ClientId; connection?: string; cannon?: string; replaces?: number } = {},
): Promise<{ number: number; position: NotificationId; tenure: string; lost: number[] }> {
  attachments += 1
  const number = attachments
  const { body } = await gundeck.client.exchangeAttachments({
    params: { cannon: place.cannon ?? 'cannon' },
    body: {
      address: 'there',
      attach: [
        {
          attachment: number,
          user,
          connection: (place.connection ?? String(number)) as ConnectionId,
          ...(place.client === undefined ? {} : { client: place.client }),
          ...(place.replaces === undefined ? {} : { replaces: place.replaces }),
        },
      ],
      detach: [],
      confirm: [],
    },
  })
  const [position] = body.attached
  if (typeof position !== 'string') throw new Error('the attachment was not answered')
  return { number, position, tenure: body.tenure, lost: body.lost }
}

/** Lets everything that is on its way arrive. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await new Promise(setImmediate)
}

/** What a call fails with, once it has; to be asked for before time is moved on. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'it did not fail'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
