import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { localRegistry } from '../adapters/local/registry.ts'
import { fakeClock } from '../platform/fake-clock.ts'
import { createInstances } from './instances.ts'

/** Instances of galley, of which some answer nothing at all. */
function stage(...ids: string[]) {
  const clock = fakeClock()
  const hanging = new Set<string>()
  const probed: string[] = []
  const registry = localRegistry(
    ids.map((id) => ({ service: 'galley', id, address: id, isDraining: false })),
  )
  const instances = createInstances(registry, clock, async (address) => {
    probed.push(address)
    if (!hanging.has(address)) return true
    await clock.sleep(2000)
    return false
  })
  const galley = instances.upstreamOf('galley')
  return {
    clock,
    hanging,
    probed,
    instances,
    galley,
    /** Where the next four calls would go. */
    next: () => Array.from({ length: 4 }, () => galley.address()),
    call: (address: string) => {
      const call = {
        givenUp: undefined as string | undefined,
        end: galley.begin(address, ({ message }) => (call.givenUp = message)),
      }
      return call
    },
  }
}

it('goes round those that are there', () => {
  const { instances, next } = stage('g1', 'g2')
  expect(next()).toEqual(['g1', 'g2', 'g1', 'g2'])
  expect(() => instances.upstreamOf('brig').address()).toThrow(/find brig/)
})

it('passes over one that did not answer, longer each time, until it does', async () => {
  const { clock, call, next } = stage('g1', 'g2')
  call('g1').end(false)
  expect(new Set(next())).toEqual(new Set(['g2']))
  await clock.advance(600)
  expect(new Set(next())).toEqual(new Set(['g1', 'g2']))
  call('g1').end(false)
  await clock.advance(600)
  expect(new Set(next())).toEqual(new Set(['g2']))
  // When nobody is left, any is as good as the other.
  call('g2').end(false)
  expect(new Set(next())).toEqual(new Set(['g1', 'g2']))
  call('g1').end(true)
  expect(new Set(next())).toEqual(new Set(['g1']))
})

it('gives up the calls of one that hangs, and asks it again when it answers', async () => {
  const { clock, hanging, call, next } = stage('g1', 'g2')
  hanging.add('g1')
  const [one, other] = [call('g1'), call('g2')]
  await clock.advance(2400)
  expect(one.givenUp).toBeUndefined()
  await clock.advance(200)
  expect(one.givenUp).toBe('g1 hangs')
  one.end(false)
  expect(other.givenUp).toBeUndefined()
  await clock.advance(20_000)
  expect(new Set(next())).toEqual(new Set(['g2']))
  hanging.delete('g1')
  await clock.advance(3000)
  expect(new Set(next())).toEqual(new Set(['g1', 'g2']))
  expect(other.givenUp).toBeUndefined()
})

it('leaves one alone that is slow and yet answers', async () => {
  const { clock, probed, call } = stage('g1', 'g2')
  const slow = call('g1')
  await clock.advance(60_000)
  expect(slow.givenUp).toBeUndefined()
  expect(probed.length).toBeGreaterThan(10)
  slow.end(true)
  await clock.advance(600)
  const asked = probed.length
  await clock.advance(60_000)
  expect(probed).toHaveLength(asked)
  expect(clock.sleeping).toBe(0)
})

it('does not ask one that answers other calls', async () => {
  const { clock, probed, call } = stage('g1')
  const slow = call('g1')
  for (let turn = 0; turn < 20; turn += 1) {
    await clock.advance(250)
    call('g1').end(true)
  }
  expect(probed).toEqual([])
  slow.end(true)
})

it('gives up calls that go to one that hangs because no other is left', async () => {
  const { clock, hanging, call, galley } = stage('g1')
  hanging.add('g1')
  const first = call(galley.address())
  await clock.advance(2600)
  first.end(false)
  const second = call(galley.address())
  await clock.advance(2600)
  expect(second.givenUp).toBe('g1 hangs')
  second.end(false)
  // What has left for good is not asked for ever.
  await clock.advance(90_000)
  await nextTurn()
  expect(clock.sleeping).toBe(0)
})
