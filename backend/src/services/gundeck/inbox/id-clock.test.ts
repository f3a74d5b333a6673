import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { ticksOfMs } from '../../../platform/time-uuid.ts'
import { createIdClock } from './id-clock.ts'

it('follows the host clock, and counts on while that stands or goes back', () => {
  const clock = fakeClock(1_000_000)
  const idClock = createIdClock(clock)
  expect(idClock.next(0n)).toBe(ticksOfMs(1_000_000))
  expect(idClock.next(0n)).toBe(ticksOfMs(1_000_000) + 1n)
  clock.setNow(500_000)
  expect(idClock.next(0n)).toBe(ticksOfMs(1_000_000) + 2n)
  clock.setNow(1_000_001)
  expect(idClock.peek()).toBe(ticksOfMs(1_000_001))
  expect(idClock.next(0n)).toBe(ticksOfMs(1_000_001))
})

it('never gives out the same or a lower one, nor one at or below a floor', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.record({ kind: fc.constant('set' as const), ms: fc.nat(1000) }),
          fc.record({ kind: fc.constant('raise' as const), ms: fc.nat(1000) }),
          fc.record({ kind: fc.constant('next' as const), ms: fc.nat(1000) }),
        ),
      ),
      (steps) => {
        const clock = fakeClock(0)
        const idClock = createIdClock(clock)
        let last = 0n
        for (const { kind, ms } of steps) {
          if (kind === 'set') clock.setNow(ms)
          else if (kind === 'raise') {
            idClock.raise(ticksOfMs(ms))
            if (ticksOfMs(ms) > last) last = ticksOfMs(ms)
          } else {
            const shown = idClock.peek()
            const ticks = idClock.next(ticksOfMs(ms))
            expect(ticks).toBe(shown > ticksOfMs(ms) ? shown : ticksOfMs(ms))
            expect(ticks).toBeGreaterThan(last)
            last = ticks
          }
        }
      },
    ),
  )
})

it('knows where it stood, whatever happened to the host clock since', async () => {
  const clock = fakeClock(1_000_000)
  const idClock = createIdClock(clock)
  expect(idClock.positionAgo(0)).toBeUndefined()
  idClock.sample()
  await clock.advance(60_000)
  idClock.sample()
  clock.setNow(9_000_000)
  const given = idClock.next(0n)
  const ago = idClock.positionAgo(30_000)
  expect(ago).toBeLessThan(ticksOfMs(1_000_001))
  expect(idClock.positionAgo(0)).toBeLessThan(given)
  expect(idClock.positionAgo(61_000)).toBeUndefined()
})
