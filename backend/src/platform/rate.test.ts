import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit } from './rate.ts'

describe('a rate', () => {
  it('admits a burst at once, then the rate', () => {
    const rate = { perSecond: 2, burst: 3 }
    let dueMs = 0
    for (let i = 0; i < 3; i += 1) {
      const outcome = admit(rate, dueMs, 1_000)
      if (!outcome.isAdmitted) throw new Error('refused within the burst')
      dueMs = outcome.dueMs
    }
    expect(admit(rate, dueMs, 1_000)).toEqual({ isAdmitted: false, retryAfterMs: 500 })
    expect(admit(rate, dueMs, 1_500)).toMatchObject({ isAdmitted: true })
  })

  it('never admits more than burst and rate allow, however the arrivals lie', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        (gaps, perSecond, burst) => {
          let nowMs = 1_000_000
          let dueMs = 0
          let admitted = 0
          for (const gapMs of gaps) {
            nowMs += gapMs
            const outcome = admit({ perSecond, burst }, dueMs, nowMs)
            if (outcome.isAdmitted) {
              dueMs = outcome.dueMs
              admitted += 1
            }
          }
          const elapsedSeconds = (nowMs - 1_000_000) / 1000
          expect(admitted).toBeLessThanOrEqual(burst + Math.ceil(elapsedSeconds * perSecond))
        },
      ),
    )
  })

  it('admits again after the wait it names', () => {
    const rate = { perSecond: 0.25, burst: 1 }
    const first = admit(rate, 0, 5_000)
    if (!first.isAdmitted) throw new Error('refused the first')
    const second = admit(rate, first.dueMs, 6_000)
    if (second.isAdmitted) throw new Error('admitted the second')
    expect(admit(rate, first.dueMs, 6_000 + second.retryAfterMs).isAdmitted).toBe(true)
  })
})
