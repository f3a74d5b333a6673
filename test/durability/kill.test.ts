import { randomInt } from 'node:crypto'

import { expect, it } from 'vitest'

import { complaints, randomNumbers, runStorm, type Life } from './storm.ts'
import { tally } from './tally.ts'

const hourMs = 3_600_000

it('keeps its promises while it is killed ten times', { timeout: 120_000 }, async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  // Each clock but every third is the right one; the others are hours off, so that it is set back.
  const lives = Array.from({ length: 10 }, (_, index): Life => {
    const clockOffsetMs = index % 3 === 2 ? Math.round((random() * 4 - 2) * hourMs) : 0
    return { clockOffsetMs, end: { kind: 'kill', afterMs: 300 + random() * 1_500 } }
  })
  const storm = await runStorm({ seed, lives, longestPauseMs: 30 })
  process.stdout.write([`seed ${seed}`, ...tally(storm.history), ''].join('\n'))
  expect(await complaints(storm)).toEqual([])
})
