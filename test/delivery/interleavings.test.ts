import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { openSqlite } from '../../backend/src/adapters/sqlite/wide-column.ts'
import { systemClock } from '../../backend/src/platform/clock.ts'
import type { ClientId, ConnectionId, UserId } from '../../backend/src/contract/ids.ts'
import { compareTimeUuid } from '../../backend/src/platform/time-uuid.ts'
import type { InboxStep } from '../../backend/src/services/gundeck/index.ts'
import { faultyStore } from '../../backend/src/services/gundeck/testing/faulty-store.ts'
import { newClient, newUser, startMessaging } from './messaging.ts'
import type { Messaging, TestSocket } from './messaging.ts'

/** What goes wrong while messages are on their way, in this order. */
type Trouble =
  | { kind: 'writes'; fault: 'lost' | 'landed' | 'refused'; count: number }
  | { kind: 'deliveries'; fault: 'lost' | 'answer-lost'; count: number }
  | { kind: 'restart'; at: InboxStep | undefined; clockMs: number }
  | { kind: 'reconnect'; reader: number }
  | { kind: 'pause'; reader: number }
  | { kind: 'nothing' }

interface Shown {
  id: string
  payload: { text: string; time: string }[]
}

/** A sent message with its place in time: it was answered before others began. */
interface Sent {
  text: string
  begun: number
  answered: number
}

/** A client as Wire's are: socket first, then the catch-up, then what the socket held back. */
class Reader {
  readonly user: UserId
  readonly client: ClientId
  readonly #messaging: Messaging
  readonly #connection: string
  #socket: TestSocket | undefined
  #last: string | undefined
  readonly #ids = new Set<string>()
  readonly seen: Shown[] = []
  /** Came twice, or late, on one socket. */
  readonly repeated: string[] = []

  constructor(messaging: Messaging, user: UserId, connection: string) {
    this.#messaging = messaging
    this.user = user
    this.client = newClient()
    this.#connection = connection
  }

  async connect(): Promise<void> {
    this.#socket?.ws.terminate()
    this.#socket = undefined
    for (let attempt = 0; ; attempt += 1) {
      try {
        const token = this.#messaging.token(this.user, this.#connection)
        const socket = await this.#messaging.open(`/await?client=${this.client}`, token)
        this.#socket = socket
        await this.#page()
        void this.#follow(socket)
        return
      } catch (error) {
        if (attempt > 50) throw error
        await delay(10)
      }
    }
  }

  pause(): void {
    const ws = this.#socket?.ws
    ws?.pause()
    setTimeout(() => ws?.resume(), 30)
  }

  async #page(): Promise<void> {
    for (let hasMore = true; hasMore;) {
      const { body } = await this.#messaging.public.getNotifications({
        caller: { user: this.user, client: undefined, connection: '1' as ConnectionId },
        query: {
          client: this.client,
          size: 100,
          ...(this.#last === undefined ? {} : { since: this.#last }),
        },
      })
      const page = JSON.parse(body) as { notifications: Shown[]; has_more: boolean }
      for (const one of page.notifications) this.#take(one)
      hasMore = page.has_more
    }
  }

  async #follow(socket: TestSocket): Promise<void> {
    let before: string | undefined
    try {
      for (;;) {
        const one = (await socket.next()) as Shown
        // D4: on one socket once, and in the order of ids.
        if (before !== undefined && compareTimeUuid(before, one.id) >= 0) {
          this.repeated.push(one.id)
        }
        before = one.id
        if (socket === this.#socket) this.#take(one)
      }
    } catch (error) {
      if (!String(error).includes('closed with')) throw error
    }
  }

  #take(one: Shown): void {
    if (this.#ids.has(one.id)) return
    this.#ids.add(one.id)
    this.seen.push(one)
    if (this.#last === undefined || compareTimeUuid(this.#last, one.id) < 0) this.#last = one.id
  }

  get texts(): string[] {
    return this.seen.flatMap(({ payload }) => payload.map(({ text }) => text))
  }

  stop(): void {
    this.#socket?.ws.terminate()
  }
}

const anyTrouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({
    kind: fc.constant('writes' as const),
    fault: fc.constantFrom('lost' as const, 'landed' as const, 'refused' as const),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('deliveries' as const),
    fault: fc.constantFrom('lost' as const, 'answer-lost' as const),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('restart' as const),
    at: fc.constantFrom<(InboxStep | undefined)[]>(
      undefined,
      'given-ids',
      'bucket-opened',
      'committed',
      'fenced',
      'answered',
      'pushed',
    ),
    clockMs: fc.constantFrom(0, -3_600_000, 60_000),
  }),
  fc.record({ kind: fc.constant('reconnect' as const), reader: fc.nat(3) }),
  fc.record({ kind: fc.constant('pause' as const), reader: fc.nat(3) }),
  fc.record({ kind: fc.constant('nothing' as const) }),
)

async function play(troubles: readonly Trouble[], messagesPerSender: number): Promise<void> {
  const shift = { ms: 0 }
  const system = systemClock()
  const nowMs = () => system.nowMs() + shift.ms
  const clock = { ...system, nowMs }
  const store = faultyStore(await openSqlite({ file: ':memory:' }))
  let writesToFail: { fault: 'lost' | 'landed' | 'refused'; count: number } | undefined
  store.fault = (table) => {
    const isInbox = table === 'gundeck_notifications' || table === 'gundeck_buckets'
    if (!isInbox || writesToFail === undefined || writesToFail.count === 0) return undefined
    writesToFail.count -= 1
    return writesToFail.fault
  }
  let callsToFail: { fault: 'lost' | 'answer-lost'; count: number } | undefined
  let killAt: InboxStep | undefined
  const hooksOf = (life: { isOver: boolean }) => ({
    at: (step: InboxStep) =>
      life.isOver || step === killAt ? new Promise<void>(() => undefined) : undefined,
  })
  let life = { isOver: false }
  await using messaging = await startMessaging({
    db: store,
    clock,
    hooks: hooksOf(life),
    wrapCannon: (cannon) => ({
      async deliver(input) {
        const fault = callsToFail !== undefined && callsToFail.count > 0 ? callsToFail : undefined
        if (fault) fault.count -= 1
        if (fault?.fault === 'lost') throw new Error('lost on the way')
        const reply = await cannon.deliver(input)
        if (fault?.fault === 'answer-lost') throw new Error('lost on the way back')
        return reply
      },
    }),
  })
  let restarted = Promise.withResolvers<void>()
  const users = [newUser(), newUser()] as const
  const readers = users.flatMap((user) => [
    new Reader(messaging, user, '1'),
    new Reader(messaging, user, '2'),
  ])
  for (const reader of readers) await reader.connect()

  let moment = 0
  const sent: Sent[] = []

  /** Like galley: repeats, saying so, until it is answered. */
  async function send(text: string): Promise<void> {
    moment += 1
    const begun = moment
    const startedMs = performance.now()
    const push = {
      requestId: randomUUID(),
      recipients: users.map((user) => ({ user })),
      events: [{ type: 'test', text }],
      eventTimeMs: nowMs(),
    }
    for (let attempt = 0; ; attempt += 1) {
      const repeat =
        attempt === 0
          ? {}
          : { isRepeat: true, firstAttemptAgeMs: Math.ceil(performance.now() - startedMs) }
      const outcome = await Promise.race([
        messaging.push.push({ body: { pushes: [push], ...repeat } }).then(
          () => 'answered' as const,
          () => 'failed' as const,
        ),
        restarted.promise.then(() => 'restarted' as const),
      ])
      if (outcome === 'answered') break
      await delay(2)
    }
    moment += 1
    sent.push({ text, begun, answered: moment })
  }

  async function makeTrouble(): Promise<void> {
    for (const trouble of troubles) {
      await delay(3)
      switch (trouble.kind) {
        case 'writes':
          writesToFail = { ...trouble }
          break
        case 'deliveries':
          callsToFail = { ...trouble }
          break
        case 'restart': {
          killAt = trouble.at
          await delay(3)
          // Nothing of a killed process goes on.
          life.isOver = true
          const killed = messaging.gundeck
          await killed[Symbol.asyncDispose]()
          killAt = undefined
          shift.ms += trouble.clockMs
          life = { isOver: false }
          await messaging.restartGundeck(hooksOf(life))
          restarted.resolve()
          restarted = Promise.withResolvers()
          break
        }
        case 'reconnect':
          await readers[trouble.reader]?.connect()
          break
        case 'pause':
          readers[trouble.reader]?.pause()
          break
        case 'nothing':
          break
      }
    }
  }

  const senders = ['a', 'b', 'c'].map(async (name) => {
    for (let count = 0; count < messagesPerSender; count += 1) await send(`${name}${String(count)}`)
  })
  await Promise.all([...senders, makeTrouble()])

  try {
    for (const reader of readers) {
      await expect.poll(() => reader.texts.length, { timeout: 8000 }).toBe(sent.length)
      expect(reader.repeated).toEqual([])
      // D3, and nothing twice.
      expect(reader.texts.toSorted()).toEqual(sent.map(({ text }) => text).toSorted())
      // D2: what was answered before another began stands before it.
      const place = new Map(reader.texts.map((text, index) => [text, index]))
      for (const earlier of sent) {
        for (const later of sent) {
          if (earlier.answered >= later.begun) continue
          expect(place.get(earlier.text)).toBeLessThan(place.get(later.text) ?? -1)
        }
      }
      const byId = reader.seen.toSorted((left, right) => compareTimeUuid(left.id, right.id))
      const times = byId.map(({ payload }) => payload[0]?.time ?? '')
      expect(times).toEqual([...new Set(times)].toSorted())
    }
  } finally {
    for (const reader of readers) reader.stop()
  }
}

it('keeps order, without gaps or repetitions, whatever goes wrong on the way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyTrouble, { minLength: 3, maxLength: 12 }), (troubles) =>
      play(troubles, 15),
    ),
    { numRuns: Number(process.env['TEST_RUNS'] ?? 8), endOnFailure: true },
  )
}, 60_000_000)
