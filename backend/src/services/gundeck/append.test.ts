import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { NotificationId } from '../../contract/ids.ts'
import { compareTimeUuid, msOfTicks, ticksOf } from '../../platform/time-uuid.ts'
import type { GundeckHooks, InboxStep } from './index.ts'
import {
  attach,
  failureOf,
  fetchPage,
  newClient,
  newUser,
  pushTo,
  send,
  settle,
  startTestGundeck,
  textsOf,
} from './testing/test-gundeck.ts'
import type { Fault } from './testing/faulty-store.ts'

const rows = 'gundeck_notifications'

/** A hook that stands still at a step for ever, as a killed process does. */
function killedAt(step: InboxStep): GundeckHooks {
  return { at: (reached) => (reached === step ? new Promise(() => undefined) : undefined) }
}

const steps: InboxStep[] = [
  'given-ids',
  'bucket-opened',
  'committed',
  'fenced',
  'answered',
  'pushed',
]

function faultsInTurn(...faults: (Fault | undefined)[]): (table: string) => Fault | undefined {
  return (table) => (table === rows ? faults.shift() : undefined)
}

describe('an append', () => {
  it('is answered only when it is in the store', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'one'))
    await send(gundeck, bob, pushTo(bob, 'two'))
    expect(await textsOf(gundeck, bob)).toEqual(['one', 'two'])
  })

  it('keeps the order of calls that wait together, in one write', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'first'))
    const before = gundeck.store.counts.get(rows) ?? 0
    const texts = Array.from({ length: 50 }, (_, index) => `text ${String(index)}`)
    await Promise.all(texts.map((text) => send(gundeck, bob, pushTo(bob, text))))
    expect(await textsOf(gundeck, bob)).toEqual(['first', ...texts])
    expect(gundeck.store.counts.get(rows)).toBe(before + 1)
  })

  it('is cut into batches of at most a megabyte or one row', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'first'))
    const before = gundeck.store.counts.get(rows) ?? 0
    const large = Array.from({ length: 4 }, (_, index) => `${String(index)}${'x'.repeat(600_000)}`)
    await Promise.all(large.map((text) => send(gundeck, bob, pushTo(bob, text))))
    expect(gundeck.store.counts.get(rows)).toBe(before + 4)
    expect((await textsOf(gundeck, bob)).slice(1)).toEqual(large)
  })

  it('names a user several times in one notification, with what each client is to see', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const [phone, laptop, tablet] = [newClient(), newClient(), newClient()]
    await send(gundeck, bob, {
      ...pushTo(bob, 'unused'),
      recipients: [
        { user: bob, clients: [phone], events: [{ type: 'test', text: 'for the phone' }] },
        { user: bob, clients: [laptop], events: [{ type: 'test', text: 'for the laptop' }] },
      ],
    })
    const seen = async (client: typeof phone) =>
      (await fetchPage(gundeck, bob, { client })).notifications.map(({ payload }) => payload)
    expect(await seen(phone)).toEqual([[{ type: 'test', text: 'for the phone' }]])
    expect(await seen(laptop)).toEqual([[{ type: 'test', text: 'for the laptop' }]])
    expect(await seen(tablet)).toEqual([])
    expect((await fetchPage(gundeck, bob)).notifications).toHaveLength(1)
  })

  it('stores a large payload for many inboxes once, with the time of each', async () => {
    const gundeck = await startTestGundeck()
    const users = Array.from({ length: 5 }, () => newUser())
    const [bob = newUser()] = users
    const eventTimeMs = gundeck.clock.nowMs() - 5
    const beforeMs = await send(gundeck, bob, pushTo(bob, 'before', { eventTimeMs }))
    const push = pushTo(bob, 'x'.repeat(20_000), {
      recipients: users.map((user) => ({ user })),
      eventTimeMs,
    })
    const { body } = await gundeck.client.push({ body: { pushes: [push] } })
    expect(gundeck.store.counts.get('gundeck_payloads')).toBe(1)
    for (const user of users) {
      const { notifications } = await fetchPage(gundeck, user)
      expect(notifications.at(-1)?.payload).toEqual([
        {
          type: 'test',
          text: 'x'.repeat(20_000),
          time: new Date(body.eventTimesMs[0]?.[user] ?? 0).toISOString(),
        },
      ])
    }
    expect(body.eventTimesMs[0]?.[bob]).toBeGreaterThan(beforeMs ?? 0)
  })

  it('opens a bucket a day, and reads across them', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const texts = ['day 1', 'day 2', 'day 3']
    for (const text of texts) {
      await send(gundeck, bob, pushTo(bob, text))
      gundeck.clock.setNow(gundeck.clock.nowMs() + 25 * 60 * 60 * 1000)
    }
    expect(gundeck.store.counts.get('gundeck_buckets')).toBe(3)
    expect(await textsOf(gundeck, bob)).toEqual(texts)
  })

  it('lets a user with little wait behind one batch of a user with much', async () => {
    const gundeck = await startTestGundeck({ config: { inFlight: 1 } })
    const order: string[] = []
    const many = Array.from({ length: 100 }, () => newUser())
    const bob = newUser()
    const large = gundeck.client
      .push({
        body: { pushes: [pushTo(bob, 'large', { recipients: many.map((user) => ({ user })) })] },
      })
      .then(() => order.push('large'))
    const small = send(gundeck, bob, pushTo(bob, 'small')).then(() => order.push('small'))
    await Promise.all([large, small])
    expect(order).toEqual(['small', 'large'])
  })
})

describe('event times', () => {
  it('rise in an inbox, and are the same for all clients of a user', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const eventTimeMs = gundeck.clock.nowMs() + 60_000
    const times = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        send(gundeck, bob, pushTo(bob, String(index), { eventTimeMs: eventTimeMs - index })),
      ),
    )
    expect(times).toEqual([...times].sort((a = 0, b = 0) => a - b))
    expect(new Set(times).size).toBe(20)
    const { notifications } = await fetchPage(gundeck, bob)
    for (const [index, { id, payload }] of notifications.entries()) {
      expect(payload[0]?.['time']).toBe(new Date(times[index] ?? 0).toISOString())
      expect(msOfTicks(ticksOf(id) ?? 0n)).toBeGreaterThanOrEqual(times[index] ?? 0)
    }
  })

  it('rise over a restart, also when the clock was set back meanwhile', async () => {
    let gundeck = await startTestGundeck()
    const bob = newUser()
    const times: number[] = []
    const ids: NotificationId[] = []
    for (const jumpMs of [0, -3_600_000, -60_000, 7_200_000, -10, 0]) {
      gundeck.clock.setNow(gundeck.clock.nowMs() + jumpMs)
      gundeck = await gundeck.restart()
      for (const text of ['a', 'b']) {
        const timeMs = await send(
          gundeck,
          bob,
          pushTo(bob, text, { eventTimeMs: gundeck.clock.nowMs() }),
        )
        times.push(timeMs ?? 0)
      }
    }
    const { notifications } = await fetchPage(gundeck, bob)
    for (const { id } of notifications) ids.push(id)
    expect(times).toHaveLength(12)
    for (const [index, timeMs] of times.entries()) {
      expect(timeMs).toBeGreaterThan(times[index - 1] ?? 0)
      const [id, before] = [ids[index], ids[index - 1]]
      if (id && before) expect(compareTimeUuid(before, id)).toBeLessThan(0)
    }
    expect(new Set(ids).size).toBe(12)
  })

  it('are those of the events, in order, when a push has several', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const eventTimeMs = gundeck.clock.nowMs()
    const events = [{ type: 'a' }, { type: 'b' }, { type: 'c' }]
    const first = await send(gundeck, bob, pushTo(bob, '', { events, eventTimeMs }))
    const second = await send(gundeck, bob, pushTo(bob, 'next', { eventTimeMs }))
    expect(second).toBe((first ?? 0) + 3)
    const { notifications } = await fetchPage(gundeck, bob)
    expect(notifications[0]?.payload.map(({ time }) => time)).toEqual(
      [0, 1, 2].map((later) => new Date((first ?? 0) + later).toISOString()),
    )
  })

  it('stay later after an inbox was forgotten while the clock stood behind', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const push = () => pushTo(bob, 'text', { eventTimeMs: gundeck.clock.nowMs() })
    const before = await send(gundeck, bob, push())
    const startMs = gundeck.clock.nowMs()
    await gundeck.clock.advance(65_000)
    gundeck.clock.setNow(startMs - 60_000)
    const after = await send(gundeck, bob, push())
    expect(after).toBeGreaterThan(before ?? 0)
    const { notifications } = await fetchPage(gundeck, bob)
    expect(notifications).toHaveLength(2)
  })
})

describe('a repeated call', () => {
  it('is stored once, while it waits and after it was answered', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const push = pushTo(bob, 'once', { eventTimeMs: gundeck.clock.nowMs() })
    const times = await Promise.all([send(gundeck, bob, push), send(gundeck, bob, push)])
    times.push(await send(gundeck, bob, push))
    expect(new Set(times).size).toBe(1)
    expect(await textsOf(gundeck, bob)).toEqual(['once'])
  })

  it('is found in the store when it says that it is one', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const push = pushTo(bob, 'once', { eventTimeMs: gundeck.clock.nowMs() })
    const timeMs = await send(gundeck, bob, push)
    await gundeck.clock.advance(10 * 60_000)
    await send(gundeck, bob, pushTo(bob, 'later'))
    gundeck.clock.setNow(gundeck.clock.nowMs() + 3_600_000)
    const repeat = { isRepeat: true, firstAttemptAgeMs: 10 * 60_000 }
    expect(await send(gundeck, bob, push, repeat)).toBe(timeMs)
    expect(await textsOf(gundeck, bob)).toEqual(['once', 'later'])
  })

  it('is found by a new owner, as long as it has given out no id of its own', async () => {
    const killed = await startTestGundeck({ hooks: killedAt('committed') })
    const bob = newUser()
    const push = pushTo(bob, 'once')
    void send(killed, bob, push)
    await settle()
    const gundeck = await killed.restart()
    // The other one comes first, and must not make the row of the killed owner unreachable.
    await send(gundeck, bob, pushTo(bob, 'other'))
    await send(gundeck, bob, push, { isRepeat: true, firstAttemptAgeMs: 2000 })
    expect(await textsOf(gundeck, bob)).toEqual(['once', 'other'])
  })

  it('is stored anew when the write of an earlier owner lands behind the back of readers', async () => {
    const killed = await startTestGundeck()
    const bob = newUser()
    await send(killed, bob, pushTo(bob, 'zero'))
    const { promise: landing, resolve: land } = Promise.withResolvers<void>()
    killed.store.fault = (table) => (table === rows ? { late: landing } : undefined)
    const push = pushTo(bob, 'late')
    void send(killed, bob, push).catch(() => undefined)
    await settle()
    killed.store.fault = () => undefined

    const gundeck = await killed.restart()
    await send(gundeck, bob, pushTo(bob, 'one'))
    const reader = (await fetchPage(gundeck, bob)).notifications.at(-1)?.id
    land()
    await settle()
    await send(gundeck, bob, push, { isRepeat: true, firstAttemptAgeMs: 3000 })
    const { notifications } = await fetchPage(gundeck, bob, { since: String(reader) })
    expect(notifications.map(({ payload }) => payload[0]?.['text'])).toEqual(['late'])
  })
})

describe('a write of unknown outcome', () => {
  it.each(['lost', 'landed'] as const)(
    'is repeated with the same id when it was %s',
    async (fault) => {
      const gundeck = await startTestGundeck()
      const bob = newUser()
      const { position } = await attach(gundeck, bob)
      gundeck.store.fault = faultsInTurn(fault, fault)
      const first = send(gundeck, bob, pushTo(bob, 'first'))
      await settle()
      const second = send(gundeck, bob, pushTo(bob, 'second'))
      await settle()
      expect(gundeck.delivered).toEqual([])
      await gundeck.clock.advance(1000)
      await Promise.all([first, second])
      await settle()
      expect(await textsOf(gundeck, bob)).toEqual(['first', 'second'])
      const shown = (await fetchPage(gundeck, bob)).notifications
      expect(gundeck.delivered.map(({ id }) => id)).toEqual(shown.map(({ id }) => id))
      expect(compareTimeUuid(position, gundeck.delivered[0]?.id ?? '')).toBeLessThan(0)
    },
  )

  it('is told to the caller as 503 in time, goes on, and answers the repeated call', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    gundeck.store.fault = (table) => (table === rows ? 'lost' : undefined)
    const push = pushTo(bob, 'doubtful')
    const sent = send(gundeck, bob, push)
    const refused = failureOf(sent)
    await settle()
    const waiting = send(gundeck, bob, pushTo(bob, 'behind'))
    const alsoRefused = failureOf(waiting)
    await gundeck.clock.advance(12_000)
    expect(await Promise.all([refused, alsoRefused])).toEqual([
      expect.stringContaining('in time'),
      expect.stringContaining('in time'),
    ])

    const again = send(gundeck, bob, push, { isRepeat: true, firstAttemptAgeMs: 12_000 })
    gundeck.store.fault = () => undefined
    await gundeck.clock.advance(2000)
    await again
    // What only waited was never given an id: its caller knows that it failed.
    expect(await textsOf(gundeck, bob)).toEqual(['doubtful'])
  })

  it('stays in doubt when a repetition is refused, because the first may still land', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    gundeck.store.fault = faultsInTurn('landed', 'refused', 'refused')
    const sent = send(gundeck, bob, pushTo(bob, 'first'))
    await settle()
    await gundeck.clock.advance(1000)
    await sent
    expect(await textsOf(gundeck, bob)).toEqual(['first'])
  })
})

describe('a refused write', () => {
  it('is a 503, is not remembered, and leaves the inbox in order', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await attach(gundeck, bob)
    gundeck.store.fault = faultsInTurn('refused')
    const push = pushTo(bob, 'one')
    await expect(send(gundeck, bob, push)).rejects.toThrow(/refuses/)
    expect(await textsOf(gundeck, bob)).toEqual([])
    await send(gundeck, bob, push)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual(['one'])
    expect(gundeck.delivered).toHaveLength(1)
  })

  it.each(['gundeck_buckets', 'gundeck_payloads'])('may be one of %s', async (name) => {
    const gundeck = await startTestGundeck()
    const [bob, carol] = [newUser(), newUser()]
    const push = pushTo(bob, 'x'.repeat(10_000), { recipients: [{ user: bob }, { user: carol }] })
    for (const fault of ['refused', 'lost', 'landed'] as const) {
      let isFailed = false
      gundeck.store.fault = (table) => {
        if (table !== name || isFailed) return undefined
        isFailed = true
        return fault
      }
      await expect(send(gundeck, bob, push)).rejects.toThrow('the test')
    }
    await send(gundeck, bob, push)
    expect(await textsOf(gundeck, bob)).toHaveLength(1)
    expect(await textsOf(gundeck, carol)).toHaveLength(1)
  })

  it('lets reads go on', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'one'))
    gundeck.store.fault = () => 'refused'
    await expect(send(gundeck, bob, pushTo(bob, 'two'))).rejects.toThrow(/refuses/)
    expect(await textsOf(gundeck, bob)).toEqual(['one'])
  })
})

describe('the fence', () => {
  it('refuses what was committed after another owner took over', async () => {
    const { promise: paused, resolve: wake } = Promise.withResolvers<void>()
    let isPausing = false
    const old = await startTestGundeck({
      hooks: { at: (step) => (isPausing && step === 'given-ids' ? paused : undefined) },
    })
    const bob = newUser()
    await send(old, bob, pushTo(bob, 'before'))
    isPausing = true
    const sent = send(old, bob, pushTo(bob, 'too late'))
    const refused = failureOf(sent)
    await settle()

    const gundeck = await old.restart()
    await send(gundeck, bob, pushTo(bob, 'after'))
    const reader = (await fetchPage(gundeck, bob)).notifications.at(-1)?.id
    await attach(old, bob)
    wake()
    expect(await refused).toMatch(/owned elsewhere/)
    expect(old.delivered).toEqual([])
    // It lies below everything that was given out since, so nobody who waits for it is told so.
    expect((await fetchPage(gundeck, bob, { since: String(reader) })).notifications).toEqual([])
    await expect(send(old, bob, pushTo(bob, 'no more'))).rejects.toThrow(/owned elsewhere/)
    expect(await old.service.missing()).toEqual(['inbox ring'])
  })

  it('waits until it can be read', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'zero'))
    gundeck.store.failRead = (table) => table === 'gundeck_ring'
    let isAnswered = false
    const sent = send(gundeck, bob, pushTo(bob, 'one')).then(() => {
      isAnswered = true
    })
    await gundeck.clock.advance(3000)
    expect(isAnswered).toBe(false)
    gundeck.store.failRead = () => false
    await gundeck.clock.advance(1000)
    await sent
  })
})

describe('a process that ends between two steps', () => {
  it.each(steps)('at "%s" loses nothing that was answered and repeats nothing', async (step) => {
    let isKilling = false
    const killed = await startTestGundeck({
      hooks: {
        at: (reached) => (isKilling && reached === step ? new Promise(() => undefined) : undefined),
      },
    })
    const bob = newUser()
    await send(killed, bob, pushTo(bob, 'zero'))
    // Another day: the next append opens a bucket, so that every step is passed.
    killed.clock.setNow(killed.clock.nowMs() + 25 * 60 * 60 * 1000)
    isKilling = true
    let isAnswered = false
    const push = pushTo(bob, 'one', { eventTimeMs: killed.clock.nowMs() })
    void send(killed, bob, push).then(() => {
      isAnswered = true
    })
    await settle()
    expect(isAnswered).toBe(step === 'answered' || step === 'pushed')

    killed.clock.setNow(killed.clock.nowMs() - 3_600_000)
    const gundeck = await killed.restart()
    await send(gundeck, bob, push, { isRepeat: true, firstAttemptAgeMs: 100 })
    await send(gundeck, bob, pushTo(bob, 'two'))
    expect(await textsOf(gundeck, bob)).toEqual(['zero', 'one', 'two'])
    const { notifications } = await fetchPage(gundeck, bob)
    expect(notifications[1]?.payload[0]?.['time']).toBeDefined()
  })
})

describe('what waits', () => {
  it('is bounded for one inbox', async () => {
    const gundeck = await startTestGundeck({ config: { waitingPerInbox: 10 } })
    const bob = newUser()
    gundeck.store.fault = (table) => (table === rows ? 'lost' : undefined)
    void send(gundeck, bob, pushTo(bob, 'in doubt')).catch(() => undefined)
    await settle()
    const sent = await Promise.allSettled([
      ...Array.from({ length: 12 }, () => send(gundeck, bob, pushTo(bob, 'text'))),
      gundeck.clock.advance(15_000),
    ])
    expect(sent.filter(({ status }) => status === 'rejected')).toHaveLength(12)
    expect(
      sent.filter((one) => String('reason' in one && one.reason).includes('is full')),
    ).toHaveLength(2)
  })

  it('is bounded in bytes for all, counts what is in doubt, and shrinks again', async () => {
    const gundeck = await startTestGundeck({ config: { waitingBytes: 1024 * 1024 } })
    gundeck.store.fault = (table) => (table === rows ? 'lost' : undefined)
    const [bob, carol] = [newUser(), newUser()]
    const large = pushTo(bob, 'x'.repeat(900_000))
    const sent = failureOf(send(gundeck, bob, large))
    await gundeck.clock.advance(15_000)
    expect(await sent).toMatch(/in time/)
    const other = pushTo(carol, 'x'.repeat(300_000))
    await expect(send(gundeck, carol, other)).rejects.toThrow(/too much waits/)
    gundeck.store.fault = () => undefined
    await gundeck.clock.advance(3000)
    await send(gundeck, carol, other)
    expect(await textsOf(gundeck, carol)).toHaveLength(1)
  })

  it('of transient notifications does not gather behind a batch in doubt', async () => {
    const gundeck = await startTestGundeck({ config: { waitingPerInbox: 10 } })
    const bob = newUser()
    await attach(gundeck, bob)
    gundeck.store.fault = (table) => (table === rows ? 'lost' : undefined)
    const doubtful = failureOf(send(gundeck, bob, pushTo(bob, 'in doubt')))
    await settle()
    for (let count = 0; count < 10; count += 1) {
      await send(gundeck, bob, pushTo(bob, 'typing', { isTransient: true }))
    }
    await gundeck.clock.advance(15_000)
    await doubtful
    gundeck.store.fault = () => undefined
    await gundeck.clock.advance(2000)
    await attach(gundeck, bob)
    await send(gundeck, bob, pushTo(bob, 'live again', { isTransient: true }))
    await settle()
    expect(gundeck.delivered.map(({ payload }) => payload)).toEqual([
      '[{"type":"test","text":"in doubt"}]',
      '[{"type":"test","text":"live again"}]',
    ])
  })

  it('does not hold up a drain for longer than a caller waits', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    gundeck.store.fault = (table) => (table === rows ? 'lost' : undefined)
    const doubtful = failureOf(send(gundeck, bob, pushTo(bob, 'in doubt')))
    await settle()
    const drained = gundeck.service.drain()
    await gundeck.clock.advance(15_000)
    await drained
    expect(await doubtful).toMatch(/in time/)
    await gundeck.stop()
  })

  it('is finished by a drain, which then takes nothing more and leaves a floor', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const sent = send(gundeck, bob, pushTo(bob, 'last'))
    await gundeck.service.drain()
    await sent
    await expect(send(gundeck, bob, pushTo(bob, 'no more'))).rejects.toThrow(/stopping/)
    await gundeck.stop()
    const next = await gundeck.restart()
    const timeMs = await send(
      next,
      bob,
      pushTo(bob, 'first', { eventTimeMs: gundeck.clock.nowMs() }),
    )
    // An owner that released its shards does not push its successor into the future.
    expect(timeMs).toBeLessThanOrEqual(gundeck.clock.nowMs() + 1)
    expect(await textsOf(next, bob)).toEqual(['last', 'first'])
  })
})

it('takes over at every start, under a new epoch', async () => {
  const first = await startTestGundeck()
  const bob = newUser()
  const { tenure } = await attach(first, bob)
  const second = await first.restart()
  expect((await attach(second, bob)).tenure).not.toBe(tenure)
  await expect(send(first, bob, pushTo(bob, randomUUID()))).rejects.toThrow(/owned elsewhere/)
})

it('leaves the store alone while nothing is sent', async () => {
  const gundeck = await startTestGundeck()
  const bob = newUser()
  await send(gundeck, bob, pushTo(bob, 'text'))
  await gundeck.clock.advance(15_000)
  const before = new Map(gundeck.store.counts)
  await gundeck.clock.advance(60_000)
  expect(gundeck.store.counts).toEqual(before)
  // The ceiling is far behind by now, and is raised before the next id is given out.
  await send(gundeck, bob, pushTo(bob, 'after a pause'))
  expect(gundeck.store.counts.get('gundeck_ring')).toBe((before.get('gundeck_ring') ?? 0) + 1)
})
