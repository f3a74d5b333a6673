import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { createRecentRequests } from './recent-requests.ts'

const user = randomUUID() as UserId

it('remembers a request for at least one turn, with its time', () => {
  const recent = createRecentRequests()
  recent.add(user, 'one', 5)
  recent.add(user, 'two', undefined)
  recent.turn()
  expect(recent.find(user, 'one')).toEqual({ timeMs: 5 })
  expect(recent.find(user, 'two')).toEqual({ timeMs: undefined })
  expect(recent.find(randomUUID() as UserId, 'one')).toBeUndefined()
  recent.turn()
  expect(recent.find(user, 'one')).toBeUndefined()
})

it('holds two generations of bounded size', () => {
  const recent = createRecentRequests(10)
  for (let count = 0; count < 100; count += 1) recent.add(user, `r${String(count)}`, count)
  const known = Array.from({ length: 100 }, (_, count) => recent.find(user, `r${String(count)}`))
  expect(known.filter((found) => found !== undefined).length).toBeLessThanOrEqual(20)
  expect(known.at(-1)).toEqual({ timeMs: 99 })
})
