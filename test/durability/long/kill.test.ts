import { randomInt } from 'node:crypto'

import { expect, it } from 'vitest'

import { complaints, randomNumbers, runStorm, type Life, type LifeEnd } from '../storm.ts'
import { tally } from '../tally.ts'

const hourMs = 3_600_000

/** Hours off or right, so that many a start finds its clock behind the one before. */
const someOffset = (random: () => number): number =>
  random() < 0.5 ? 0 : Math.round((random() * 6 - 3) * hourMs)

async function survives(
  seed: number,
  ends: readonly LifeEnd[],
  random: () => number,
): Promise<void> {
  const lives = ends.map((end): Life => ({
    clockOffsetMs: someOffset(random),
    isJumping: random() < 0.2,
    ...(random() < 0.1 && { freezeMs: 500 + random() * 2_000 }),
    end,
  }))
  const storm = await runStorm({ seed, lives, longestPauseMs: 30 })
  const missed = storm.stepsNotReached.map((step) => `not reached: ${step}`)
  process.stdout.write([`seed ${seed}`, ...tally(storm.history), ...missed, ''].join('\n'))
  expect(await complaints(storm)).toEqual([])
  expect(storm.stepsNotReached).toEqual([])
}

it('keeps its promises while it is killed fifty times, and stopped now and then', async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  const ends = Array.from({ length: 55 }, (_, index): LifeEnd => {
    const afterMs = 100 + random() * 1_900
    return index % 11 === 10 ? { kind: 'stop', afterMs } : { kind: 'kill', afterMs }
  })
  await survives(seed, ends, random)
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
  await survives(seed, [{ kind: 'kill', afterMs: 500 }, ...ends], random)
})
