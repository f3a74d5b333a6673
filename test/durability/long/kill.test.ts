import { randomInt } from 'node:crypto'

import { expect, it } from 'vitest'

import { randomNumbers } from '../random.ts'
import { surviveSplit, type Death } from '../split-storm.ts'
import { survive, type Life, type LifeEnd } from '../storm.ts'

const hourMs = 3_600_000

/** With a clock that is right or hours off, so that many a start finds it behind the one before. */
function lifeUntil(end: LifeEnd, random: () => number): Life {
  return {
    clockOffsetMs: random() < 0.5 ? 0 : Math.round((random() * 6 - 3) * hourMs),
    isJumping: random() < 0.2,
    ...(random() < 0.1 && { freezeMs: 500 + random() * 2_000 }),
    end,
  }
}

it('keeps its promises while it is killed fifty times, and stopped now and then', async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  const ends = Array.from({ length: 55 }, (_, index): LifeEnd => {
    const afterMs = 100 + random() * 1_900
    return index % 11 === 10 ? { kind: 'stop', afterMs } : { kind: 'kill', afterMs }
  })
  const lives = ends.map((end) => lifeUntil(end, random))
  expect(await survive({ seed, lives })).toEqual([])
})

/** How often each step is passed before the server dies there. */
const steps: Readonly<Record<string, readonly number[]>> = {
  // The first commits belong to the start: tables, keys, taking over the inboxes.
  beforeCommit: [1, 2, 3, 4, 6, 10, 40, 150],
  afterCommit: [1, 2, 3, 4, 6, 10, 40, 150],
  'given-ids': [1, 3, 30, 200],
  'bucket-opened': [1, 2, 4],
  committed: [1, 3, 30, 200],
  fenced: [1, 3, 30, 200],
  answered: [1, 3, 30, 200],
  pushed: [1, 3, 30, 200],
}

it('keeps its promises when it dies between any two steps of an append', async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  const ends = Object.entries(steps)
    .flatMap(([step, counts]) => counts.map((count): LifeEnd => ({ kind: 'step', step, count })))
    .sort(() => random() - 0.5)
  // People register undisturbed.
  const first: Life = { clockOffsetMs: 0, end: { kind: 'kill', afterMs: 500 } }
  const lives = [first, ...ends.map((end) => lifeUntil(end, random))]
  expect(await survive({ seed, lives })).toEqual([])
})

it('keeps its promises while one service after another is killed', async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  // Mostly those that a message goes through.
  const services = ['gundeck', 'cannon', 'galley', 'gundeck', 'cannon', 'galley', 'nginz', 'brig']
  const deaths = Array.from({ length: 24 }, (_, index): Death => {
    const service = services[index % services.length] as Death['service']
    return { service, afterMs: 200 + random() * 1_500 }
  })
  const last: Death = { service: 'gundeck', afterMs: 1_000 }
  expect(await surviveSplit(seed, [...deaths, last])).toEqual([])
})
