import { describe, expect, it } from 'vitest'
import type { NotificationId } from '../../../contract/ids.ts'
import { timeUuid } from '../../../platform/time-uuid.ts'
import { acknowledgedBy, doneUpTo, unseenAfter } from './acknowledged.ts'

const id = (ticks: number): NotificationId =>
  timeUuid(BigInt(ticks), new Uint8Array(8)) as NotificationId
const seen = { begin: id(10), cursor: id(20), acknowledged: [id(25)] }
const fresh = { begin: id(10), cursor: id(10), acknowledged: [] }

describe('a client', () => {
  it('has acknowledged what lies between beginning and cursor, and single rows beyond', () => {
    const isAcknowledged = acknowledgedBy(seen)
    expect([5, 10, 11, 20, 21, 25, 26].filter((ticks) => isAcknowledged(id(ticks)))).toEqual([
      11, 20, 25,
    ])
  })

  it('has acknowledged nothing at first, not even what was there before its queue', () => {
    const isAcknowledged = acknowledgedBy(fresh)
    expect([5, 10, 11].some((ticks) => isAcknowledged(id(ticks)))).toBe(false)
  })

  it('reads on from where it is, or behind what it has acknowledged', () => {
    expect(unseenAfter(seen, undefined)).toBeUndefined()
    expect(unseenAfter(seen, id(5))).toBe(id(5))
    expect(unseenAfter(seen, id(10))).toBe(id(20))
    expect(unseenAfter(seen, id(15))).toBe(id(20))
    expect(unseenAfter(seen, id(22))).toBe(id(22))
    expect(unseenAfter(fresh, id(12))).toBe(id(12))
  })

  it('lets nothing be erased before it has moved on from the beginning', () => {
    expect(doneUpTo(fresh)).toBeUndefined()
    expect(doneUpTo(seen)).toBe(id(20))
  })
})
