import fc from 'fast-check'
import { expect, it } from 'vitest'
import { countShards, handover, spreadShards } from './placement.ts'

const owners = fc.array(fc.constantFrom('a', 'b', 'c', 'gone', undefined), { maxLength: 64 })

it('gives shards without an owner to those who have fewest, the same whoever asks', () => {
  fc.assert(
    fc.property(owners, fc.subarray(['a', 'b', 'c']), (given, candidates) => {
      const orphans = [...given.keys()].filter((shard) => !candidates.includes(given[shard] ?? ''))
      const places = spreadShards(orphans, countShards(given, candidates))
      const turned = spreadShards(orphans, countShards(given, candidates.toReversed()))
      expect(turned).toEqual(places)
      expect(places.size).toBe(candidates.length === 0 ? 0 : orphans.length)
    }),
  )
})

it('comes to rest with numbers that differ by one at most', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }), (given) => {
      const candidates = ['a', 'b', 'c']
      let now: string[] = given
      for (let turn = 0; turn < 200; turn += 1) {
        const plans = candidates.map((me) => handover(now, candidates, me))
        // One gives at a time, so no two disagree.
        expect(plans.filter((plan) => plan !== undefined).length).toBeLessThanOrEqual(1)
        const plan = plans.find((one) => one !== undefined)
        if (plan === undefined) break
        now = now.map((owner, shard) => (plan.shards.includes(shard) ? plan.to : owner))
      }
      const counts = [...countShards(now, candidates).values()]
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
    }),
  )
})

it('moves nothing when all are even, or when there is nobody to give to', () => {
  expect(handover(['a', 'b', 'a'], ['a', 'b'], 'a')).toBeUndefined()
  expect(handover(['a', 'a', 'a'], ['a'], 'a')).toBeUndefined()
  expect(handover(['a', 'a', 'a'], ['a', 'b'], 'b')).toBeUndefined()
})
