import { randomBytes, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import { compareTimeUuid, ticksOf } from '../../../platform/time-uuid.ts'
import { notificationIds, positionAfter } from './notification-id.ts'

const ids = notificationIds([randomBytes(32)])
const alice = randomUUID() as UserId
const bob = randomUUID() as UserId
const anyTicks = fc.bigInt({ min: 0n, max: (1n << 60n) - 1n })

it('makes version 1 ids that it knows again, for the inbox they are of', () => {
  fc.assert(
    fc.property(anyTicks, (ticks) => {
      const id = ids.make(alice, ticks)
      expect(ticksOf(id)).toBe(ticks)
      expect(ids.isOurs(alice, id)).toBe(true)
      expect(ids.isOurs(bob, id)).toBe(false)
    }),
  )
})

it('does not know ids that others made', () => {
  const foreign = notificationIds([randomBytes(32)]).make(alice, 5n)
  expect(ids.isOurs(alice, foreign)).toBe(false)
  expect(ids.isOurs(alice, randomUUID() as unknown as NotificationId)).toBe(false)
  expect(ids.isOurs(alice, 'nonsense' as NotificationId)).toBe(false)
})

it('believes older keys, and makes ids with the newest', () => {
  const [older, newer] = [randomBytes(32), randomBytes(32)]
  const before = notificationIds([older])
  const after = notificationIds([newer, older])
  expect(after.isOurs(alice, before.make(alice, 7n))).toBe(true)
  expect(before.isOurs(alice, after.make(alice, 7n))).toBe(false)
})

it('has positions above every id of their tick and below the next', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 60n) - 2n }), (ticks) => {
      const position = positionAfter(ticks)
      expect(compareTimeUuid(ids.make(alice, ticks), position)).toBeLessThan(0)
      expect(compareTimeUuid(ids.make(alice, ticks + 1n), position)).toBeGreaterThan(0)
    }),
  )
})
