import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { UserId } from '../../contract/ids.ts'
import { countsOf, startCluster } from './testing/test-cluster.ts'
import type { Cluster, Member } from './testing/test-cluster.ts'
import { attach, fetchPage, newUser, pushTo, send, textsOf } from './testing/test-gundeck.ts'

describe('the ring', () => {
  it('is spread evenly, and known to all', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b, c] = cluster.members
    if (!a || !b || !c) throw new Error('three were started')
    const map = await cluster.map(a)
    expect(Object.values(countsOf(map)).toSorted((x, y) => x - y)).toEqual([21, 21, 22])
    expect(await cluster.map(b)).toEqual(map)
    expect(await cluster.map(c)).toEqual(map)
    await cluster.stop()
  })

  it('takes sends at any gundeck', async () => {
    const cluster = await startCluster(['a', 'b'])
    const [first] = cluster.members
    if (!first) throw new Error('two were started')
    const users = Array.from({ length: 8 }, newUser)
    for (const [index, user] of users.entries()) {
      for (const member of cluster.members) {
        await cluster.during(send(member, user, pushTo(user, `${member.name}${String(index)}`)))
      }
    }
    for (const [index, user] of users.entries()) {
      expect(await textsOf(first, user)).toEqual([`a${String(index)}`, `b${String(index)}`])
    }
    await cluster.stop()
  })

  it('gives the inboxes of a killed owner to the others within three seconds', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b] = cluster.members
    if (!a || !b) throw new Error('three were started')
    const user = await cluster.userOf(b)
    await cluster.during(send(a, user, pushTo(user, 'one')))
    b.freeze()
    await cluster.advance(3000)
    await cluster.during(send(a, user, pushTo(user, 'two')))
    expect(countsOf(await cluster.map(a))).toEqual({ a: 32, c: 32 })
    b.thaw()
    await cluster.advance(100)
    await cluster.during(send(b, user, pushTo(user, 'three')))
    expect(await textsOf(a, user)).toEqual(['one', 'two', 'three'])
    await cluster.advance(20_000)
    expect(Object.values(countsOf(await cluster.map(b))).toSorted((x, y) => x - y)).toEqual([
      21, 21, 22,
    ])
    await cluster.stop()
  })
})

describe('an owner', () => {
  it.each(['given-ids', 'bucket-opened', 'committed', 'fenced'] as const)(
    'that freezes at "%s" and wakes up answers only what no reader has passed',
    async (step) => {
      let isArmed = false
      const found: { member?: Member } = {}
      const cluster = await startCluster(['a', 'b'], {
        b: {
          at(reached) {
            if (isArmed && reached === step) found.member?.freeze()
          },
        },
      })
      const [a, b] = bothOf(cluster)
      found.member = b
      const user = await cluster.userOf(b)
      // A bucket is opened by the first one.
      if (step !== 'bucket-opened') await cluster.during(send(a, user, pushTo(user, 'before')))
      isArmed = true
      const push = pushTo(user, 'doubtful')
      const outcome = send(b, user, push).then(
        () => 'acknowledged',
        () => 'refused',
      )
      await cluster.advance(3000)
      isArmed = false
      await cluster.during(send(a, user, pushTo(user, 'after')))
      const reader = (await fetchPage(a, user)).notifications.at(-1)?.id
      b.thaw()
      await cluster.advance(200)
      // It brings the call to the new owner, which tells what was left to it from what came too late.
      expect(await cluster.during(outcome)).toBe('acknowledged')
      const since = step === 'fenced' || step === 'committed' ? {} : { since: String(reader) }
      const texts = (await fetchPage(a, user, since)).notifications.flatMap(({ payload }) =>
        payload.map(({ text }) => text),
      )
      expect(texts).toContain('doubtful')
      await cluster.stop()
    },
  )

  it('whose release times out and lands late has not gone on below its floor', async () => {
    let isReleasing = false
    const cluster = await startCluster(['a'], {
      a: {
        atRing(step) {
          isReleasing ||= step === 'releasing'
        },
      },
    })
    const [a] = cluster.members
    if (!a) throw new Error('one was started')
    const user = newUser()
    const { promise: landing, resolve: land } = Promise.withResolvers<void>()
    let isKept = false
    // The handover to the second one is kept on its way.
    a.store.fault = (table) => {
      if (table !== 'gundeck_ring' || !isReleasing || isKept) return undefined
      isKept = true
      return { late: landing }
    }
    await cluster.join('b')
    await cluster.advance(8000)
    expect(isKept).toBe(true)
    for (const text of ['one', 'two']) await cluster.during(send(a, user, pushTo(user, text)))
    land()
    await cluster.advance(1000)
    await cluster.during(send(a, user, pushTo(user, 'three')))
    expect(await textsOf(a, user)).toEqual(['one', 'two', 'three'])
    await cluster.stop()
  })

  it('with a clock in another year keeps no inboxes and moves no ids', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    b.offsetMs = 365 * 86_400_000
    await cluster.advance(3000)
    expect(countsOf(await cluster.map(a))).toEqual({ a: 32, c: 32 })
    const push = pushTo(user, 'now', { eventTimeMs: cluster.clock.nowMs() })
    const timeMs = await cluster.during(send(a, user, push))
    expect(Number(timeMs) - cluster.clock.nowMs()).toBeLessThan(5000)
    b.offsetMs = 0
    await cluster.advance(20_000)
    expect(Object.keys(countsOf(await cluster.map(a))).toSorted(byName)).toEqual(['a', 'b', 'c'])
    await cluster.stop()
  })

  it('with a clock in another year does not call fresh ids too old', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(a)
    await cluster.during(send(a, user, pushTo(user, 'one')))
    const [one] = (await fetchPage(a, user)).notifications
    const since = one?.id ?? ''
    b.offsetMs = 365 * 86_400_000
    await cluster.advance(3000)
    await expect(cluster.during(fetchPage(b, user, { since }))).rejects.toThrow('not believed')
    b.offsetMs = 0
    await cluster.advance(20_000)
    expect((await cluster.during(fetchPage(b, user, { since }))).notifications).toEqual([])
    await cluster.stop()
  })

  it('that loses a shard and takes it back answers repeats of what it had acknowledged', async () => {
    const cluster = await startCluster(['a', 'b'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    const push = pushTo(user, 'once')
    await cluster.during(send(b, user, push))
    b.freeze()
    await cluster.advance(3000)
    await cluster.during(send(a, user, pushTo(user, 'meanwhile')))
    b.thaw()
    await cluster.advance(200)
    a.freeze()
    await cluster.advance(3000)
    await cluster.during(send(b, user, push, { isRepeat: true, firstAttemptAgeMs: 7000 }))
    await cluster.during(send(b, user, pushTo(user, 'last')))
    expect(await textsOf(b, user)).toEqual(['once', 'meanwhile', 'last'])
    await cluster.stop()
  })

  it('that stops hands its inboxes over at once, and brings calls to the others', async () => {
    const cluster = await startCluster(['a', 'b'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    await cluster.during(send(b, user, pushTo(user, 'one')))
    await cluster.during(b.service.drain())
    expect(countsOf(await cluster.map(b))).toEqual({ a: 64 })
    await cluster.during(send(b, user, pushTo(user, 'two')))
    expect(await textsOf(a, user)).toEqual(['one', 'two'])
    await cluster.stop()
  })

  it('that stops goes on trying while the store is too busy to say what becomes of it', async () => {
    for (const fault of ['refused', 'lost', 'landed'] as const) {
      const cluster = await startCluster(['a', 'b'])
      const [a, b] = bothOf(cluster)
      const user = await cluster.userOf(b)
      await cluster.during(send(b, user, pushTo(user, 'one')))
      let troubles = 6
      b.store.fault = (table) => {
        if (table !== 'gundeck_ring') return undefined
        troubles -= 1
        return troubles >= 0 ? fault : undefined
      }
      await cluster.during(b.service.drain())
      expect(countsOf(await cluster.map(b)), fault).toEqual({ a: 64 })
      await cluster.during(send(b, user, pushTo(user, 'two')))
      expect(await textsOf(a, user), fault).toEqual(['one', 'two'])
      await cluster.stop()
    }
  })

  it('tells its cannon what is lost, and that nobody confirms while it is cut off', async () => {
    const cluster = await startCluster(['a', 'b'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    const { number } = await cluster.during(attach(b, user))
    const beat = async (member: Member) => {
      const { body } = await member.client.exchangeAttachments({
        params: { cannon: 'cannon' },
        body: { address: 'there', attach: [], detach: [], confirm: [] },
      })
      return body
    }
    expect((await beat(b)).isConfirmed).toBe(true)
    b.cutOff()
    await cluster.advance(3000)
    expect((await beat(b)).isConfirmed).toBe(false)
    await cluster.during(send(a, user, pushTo(user, 'for the new owner')))
    b.mend()
    await cluster.advance(500)
    const { lost, ringVersion } = await beat(b)
    expect([...lost, ...b.lost]).toContain(number)
    expect(ringVersion).toBe((await cluster.map(a)).version)
    await expect(attach(b, user)).rejects.toThrow(/was not answered/)
    const { position } = await cluster.during(attach(a, user))
    expect(position).toBe((await fetchPage(a, user)).notifications.at(-1)?.id)
    await cluster.stop()
  })
})

describe('an owner that beats from another thread', () => {
  it('keeps its inboxes while it is busy for two seconds', async () => {
    const cluster = await startCluster(['a', 'b'], {}, { hasBeatThreads: true })
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    const { version } = await cluster.map(a)
    await cluster.during(send(a, user, pushTo(user, 'one')))
    b.hang()
    const waiting = send(a, user, pushTo(user, 'two'))
    await cluster.advance(2000)
    b.thaw()
    await cluster.during(waiting)
    expect((await cluster.map(a)).version).toBe(version)
    expect(await textsOf(a, user)).toEqual(['one', 'two'])
    await cluster.stop()
  })

  it('loses them within four seconds when it hangs, and acknowledges nothing that late', async () => {
    let isArmed = false
    const found: { member?: Member } = {}
    const cluster = await startCluster(
      ['a', 'b'],
      {
        b: {
          at(reached) {
            if (!isArmed || reached !== 'given-ids') return
            isArmed = false
            found.member?.hang()
          },
        },
      },
      { hasBeatThreads: true },
    )
    const [a, b] = bothOf(cluster)
    found.member = b
    const user = await cluster.userOf(b)
    await cluster.during(send(a, user, pushTo(user, 'one')))
    isArmed = true
    // It has an id when it stops, and its row is written when it is an owner no more.
    const late = send(b, user, pushTo(user, 'late'))
    await cluster.advance(4100)
    expect(countsOf(await cluster.map(a))).toEqual({ a: 64 })
    await cluster.during(send(a, user, pushTo(user, 'two')))
    const since = String((await fetchPage(a, user)).notifications.at(-1)?.id)
    b.thaw()
    await cluster.during(late)
    // Brought to the new owner, which gave it another id.
    const texts = (await fetchPage(a, user, { since })).notifications.flatMap(({ payload }) =>
      payload.map(({ text }) => text),
    )
    expect(texts).toEqual(['late'])
    await cluster.stop()
  })

  it('does not call itself alive before it has heard of a sign of life', async () => {
    const cluster = await startCluster(['a', 'b'], {}, { hasBeatThreads: true })
    const [, b] = bothOf(cluster)
    expect(await b.service.missing()).toEqual([])
    b.hang()
    await cluster.clock.advance(10_000)
    expect(await b.service.missing()).toEqual(['inbox ring'])
    b.thaw()
    await cluster.advance(1000)
    expect(await b.service.missing()).toEqual([])
    await cluster.stop()
  })

  it('goes, and comes back, as one that beats for itself', async () => {
    const cluster = await startCluster(['a', 'b', 'c'], {}, { hasBeatThreads: true })
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    await cluster.during(send(b, user, pushTo(user, 'one')))
    b.freeze()
    await cluster.advance(3000)
    expect(countsOf(await cluster.map(a))).toEqual({ a: 32, c: 32 })
    b.thaw()
    await cluster.advance(20_000)
    expect(Object.keys(countsOf(await cluster.map(a))).toSorted(byName)).toEqual(['a', 'b', 'c'])
    await cluster.during(b.service.drain())
    expect(countsOf(await cluster.map(b))).toEqual({ a: 32, c: 32 })
    await cluster.during(send(b, user, pushTo(user, 'two')))
    expect(await textsOf(a, user)).toEqual(['one', 'two'])
    await cluster.stop()
  })
})

it('keeps ten thousand inboxes in order that change their owner at once', async () => {
  const cluster = await startCluster(['a', 'b'])
  const [a, b] = bothOf(cluster)
  const users = Array.from({ length: 10_000 }, newUser)
  const toAll = (text: string, some: readonly UserId[]) =>
    some.map((user) => pushTo(user, text, { requestId: randomUUID() }))
  for (let start = 0; start < users.length; start += 2500) {
    const pushes = toAll('one', users.slice(start, start + 2500))
    await cluster.during(a.client.push({ body: { pushes } }))
  }
  b.freeze()
  await cluster.advance(3000)
  for (let start = 0; start < users.length; start += 2500) {
    const pushes = toAll('two', users.slice(start, start + 2500))
    await cluster.during(a.client.push({ body: { pushes } }))
  }
  for (const user of users.filter((_, index) => index % 500 === 0)) {
    expect(await textsOf(a, user)).toEqual(['one', 'two'])
  }
  await cluster.stop()
}, 120_000)

function bothOf(cluster: Cluster): [Member, Member] {
  const [a, b] = cluster.members
  if (!a || !b) throw new Error('two were started')
  return [a, b]
}

const byName = (one: string, other: string): number => (one < other ? -1 : 1)
