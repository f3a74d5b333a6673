import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { oneToOneConversationId } from './conversation-ids.ts'

const user = (id: string) => id as UserId

it('adds the ids in words and sets version and variant', () => {
  expect(
    oneToOneConversationId(
      user('00000001-0000-4000-8000-000000000001'),
      user('00000002-0001-4002-8003-000000000004'),
    ),
  ).toBe('00000003-0001-4002-8003-000000000005')
  // Words overflow without a carry into the next one.
  expect(
    oneToOneConversationId(
      user('ffffffff-ffff-4fff-bfff-ffffffffffff'),
      user('00000001-0001-4001-8000-000000000001'),
    ),
  ).toBe('00000000-0000-4000-bfff-ffff00000000')
})

it('is the same from both sides, and a version 4 UUID', () => {
  const uuids = fc.constant(undefined).map(() => user(randomUUID()))
  fc.assert(
    fc.property(uuids, uuids, (one, other) => {
      const id = oneToOneConversationId(one, other)
      expect(id).toBe(oneToOneConversationId(other, one))
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }),
  )
})
