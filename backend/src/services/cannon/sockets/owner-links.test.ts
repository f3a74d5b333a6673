import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { Unavailable } from '../../../contract/error.ts'
import { shardCount, shardOf } from '../../../contract/gundeck/ring.ts'
import type { RingMap } from '../../../contract/gundeck/ring.ts'
import type { UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { createOwnerLinks } from './owner-links.ts'
import type { OwnerClient } from './owner-links.ts'

/** How an owner, or the way to it, behaves. */
type Behaviour = 'confirms' | 'confirms not' | 'fails' | 'hangs'

/** The first half of the shards is owned by `a`, the other one by `b`. */
function stage({ hasRing = true } = {}) {
  const clock = fakeClock()
  const behaviours: Record<string, Behaviour> = { a: 'confirms', b: 'confirms' }
  const halves = mapOf(1, (shard) => (shard < shardCount / 2 ? 0 : 1))
  let map = hasRing ? halves : undefined
  const getRing: OwnerClient['getRing'] = async () => {
    if (map === undefined) throw new Unavailable('no gundeck answers')
    return { status: 200, headers: {}, body: map }
  }
  const links = createOwnerLinks({
    gundeck: { getRing },
    ownerAt: (address) => ({
      getRing,
      async exchangeAttachments({ body }) {
        const behaviour = behaviours[address]
        if (behaviour === 'hangs') await new Promise(() => undefined)
        if (behaviour === 'fails') throw new Unavailable('nobody answers there')
        return {
          status: 200,
          headers: {},
          body: {
            tenure: 'one',
            attached: body.attach.map(() => null),
            lost: [],
            ringVersion: map?.version ?? 0,
            isConfirmed: behaviour === 'confirms',
          },
        }
      },
    }),
    cannon: 'cannon',
    address: 'here',
    clock,
    log: pino({ level: 'silent' }),
  })
  const stopping = new AbortController()
  void links.run(stopping.signal)
  return {
    links,
    behaviours,
    setMap: (found: RingMap) => void (map = found),
    async pass(ms: number) {
      for (let passedMs = 0; passedMs < ms; passedMs += 100) {
        await clock.advance(100)
        for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
      }
    },
    stop: () => stopping.abort(),
  }
}

function mapOf(version: number, ownerOf: (shard: number) => number): RingMap {
  return {
    version,
    owners: [
      { id: 'a/1', address: 'a' },
      { id: 'b/1', address: 'b' },
    ],
    shards: Array.from({ length: shardCount }, (_, shard) => ownerOf(shard)),
  }
}

function userIn(isShard: (shard: number) => boolean): UserId {
  for (;;) {
    const user = randomUUID() as UserId
    if (isShard(shardOf(user))) return user
  }
}
const ann = userIn((shard) => shard < shardCount / 2)
const ben = userIn((shard) => shard >= shardCount / 2)

it.each(['confirms not', 'fails', 'hangs'] as const)(
  'notes how long an owner is silent that %s, for its users alone',
  async (behaviour) => {
    const test = stage()
    await test.pass(10_000)
    expect(test.links.silenceMs(ann)).toBeLessThanOrEqual(1100)
    expect(test.links.longestSilenceMs()).toBeLessThanOrEqual(1100)
    test.behaviours['a'] = behaviour
    await test.pass(6000)
    expect(test.links.silenceMs(ann)).toBeGreaterThanOrEqual(6000)
    expect(test.links.silenceMs(ben)).toBeLessThanOrEqual(1100)
    expect(test.links.longestSilenceMs()).toBe(test.links.silenceMs(ann))
    test.stop()
  },
)

it('hears an owner again', async () => {
  const test = stage()
  await test.pass(1000)
  test.behaviours['a'] = 'fails'
  await test.pass(20_000)
  test.behaviours['a'] = 'confirms'
  await test.pass(1200)
  expect(test.links.silenceMs(ann)).toBeLessThanOrEqual(1200)
  test.stop()
})

it('asks the new owner as soon as the ring has one, and forgets the silence of the old', async () => {
  const test = stage()
  await test.pass(1000)
  test.behaviours['a'] = 'hangs'
  await test.pass(4000)
  const after = mapOf(2, () => 0)
  test.setMap({ ...after, owners: [{ id: 'b/1', address: 'b' }] })
  await test.pass(1200)
  expect(test.links.silenceMs(ann)).toBeLessThanOrEqual(1200)
  expect(test.links.longestSilenceMs()).toBeLessThanOrEqual(1200)
  test.stop()
})

it('counts a ring that was never to be read as silence since the start', async () => {
  const test = stage({ hasRing: false })
  await test.pass(5100)
  expect(test.links.silenceMs(ann)).toBe(5100)
  expect(test.links.longestSilenceMs()).toBe(5100)
  test.setMap(mapOf(1, () => 0))
  await test.pass(1100)
  expect(test.links.silenceMs(ann)).toBeLessThanOrEqual(1100)
  test.stop()
})

it('counts for inboxes that nobody owns since when that is so', async () => {
  const test = stage()
  await test.pass(3000)
  test.setMap(mapOf(2, (shard) => (shard < shardCount / 2 ? -1 : 1)))
  await test.pass(7000)
  expect(test.links.silenceMs(ann)).toBeGreaterThanOrEqual(5000)
  expect(test.links.silenceMs(ann)).toBeLessThanOrEqual(7000)
  expect(test.links.silenceMs(ben)).toBeLessThanOrEqual(1100)
  test.stop()
})
