import { randomInt } from 'node:crypto'

import { expect, it } from 'vitest'

import { randomNumbers } from './random.ts'
import { survive, type Life } from './storm.ts'

const hourMs = 3_600_000

it('keeps its promises while it is killed ten times', { timeout: 180_000 }, async () => {
  const seed = randomInt(2 ** 31)
  const random = randomNumbers(seed)
  // Each clock but every third is the right one; the others are hours off, so that it is set back.
  const lives = Array.from({ length: 10 }, (_, index): Life => {
    const clockOffsetMs = index % 3 === 2 ? Math.round((random() * 4 - 2) * hourMs) : 0
    // Some long enough for the server to erase what was acknowledged.
    const afterMs = index % 5 === 4 ? 3_500 : 300 + random() * 1_500
    return { clockOffsetMs, end: { kind: 'kill', afterMs } }
  })
  expect(await survive({ seed, lives })).toEqual([])
})
