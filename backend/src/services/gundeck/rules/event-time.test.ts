import fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventTime } from './event-time.ts'

it('is when it happened, in the ordinary case', () => {
  expect(eventTime(1000, 1005, 900, 0)).toBe(1000)
})

it('is never in the future of the id clock, nor twice the same in an inbox', () => {
  expect(eventTime(9000, 1005, 900, 0)).toBe(1005)
  expect(eventTime(1000, 1005, 1000, 0)).toBe(1001)
  expect(eventTime(500, 1005, 1003, 0)).toBe(1004)
})

it('is the id clock when the last time is not known, and later than it can have been', () => {
  expect(eventTime(500, 1005, undefined, 900)).toBe(1005)
  expect(eventTime(500, 1005, undefined, 1005)).toBe(1006)
})

it('rises in every inbox, whatever callers and clocks say', () => {
  const anyMs = fc.nat(10_000)
  fc.assert(
    fc.property(fc.array(fc.tuple(anyMs, anyMs)), anyMs, (appends, unknownAboveMs) => {
      let lastMs: number | undefined
      for (const [happenedMs, clockMs] of appends) {
        const timeMs = eventTime(happenedMs, clockMs, lastMs, unknownAboveMs)
        expect(timeMs).toBeGreaterThan(lastMs ?? unknownAboveMs)
        lastMs = timeMs
      }
    }),
  )
})
