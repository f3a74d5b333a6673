import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planCookie } from './cookie-limit.ts'

const limit = { maxCookies: 4, churnStdDevSeconds: 3000, churnWaitSeconds: 86_400 }
const hourMs = 3_600_000
const cookie = (id: number, createdMs: number, successor?: number) => ({ id, createdMs, successor })

describe('one more cookie', () => {
  it('is let in while there is room', () => {
    const existing = [cookie(1, 0), cookie(2, 0), cookie(3, 0)]
    expect(planCookie(existing, limit, 0)).toEqual({ kind: 'room', evicted: [] })
  })

  it('takes the place of a superseded one first, however quickly they came', () => {
    const existing = [cookie(1, 0), cookie(2, 1), cookie(3, 2, 4), cookie(4, 3)]
    expect(planCookie(existing, limit, 10)).toEqual({ kind: 'room', evicted: [3] })
  })

  it('takes the place of the oldest when people log in as people do', () => {
    const existing = [
      cookie(2, hourMs),
      cookie(1, 0),
      cookie(3, 90 * hourMs),
      cookie(4, 91 * hourMs),
    ]
    expect(planCookie(existing, limit, 92 * hourMs)).toEqual({ kind: 'room', evicted: [1] })
  })

  it('is refused for a day when the others came at even intervals', () => {
    const existing = [1, 2, 3, 4].map((id) => cookie(id, id * hourMs))
    expect(planCookie(existing, limit, 5 * hourMs)).toEqual({
      kind: 'throttled',
      retryAfterSeconds: 23 * 3600,
    })
    expect(planCookie(existing, limit, 28 * hourMs)).toEqual({ kind: 'room', evicted: [1] })
  })

  it('leaves no more than the limit', () => {
    const cookies = fc.uniqueArray(
      fc.record({
        id: fc.nat(1000),
        createdMs: fc.nat(1_000_000_000),
        successor: fc.option(fc.nat(1000), { nil: undefined }),
      }),
      { selector: ({ id }) => id, maxLength: 12 },
    )
    fc.assert(
      fc.property(cookies, (existing) => {
        const plan = planCookie(existing, { ...limit, churnStdDevSeconds: 0 }, 2_000_000_000)
        if (plan.kind === 'throttled') throw new Error('throttled without a reason')
        expect(existing.length - plan.evicted.length + 1).toBeLessThanOrEqual(limit.maxCookies)
        expect(new Set(plan.evicted).size).toBe(plan.evicted.length)
      }),
    )
  })
})
