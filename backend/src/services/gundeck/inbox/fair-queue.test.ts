import { expect, it } from 'vitest'
import { createFairQueue } from './fair-queue.ts'

it('takes from its lanes in turn', () => {
  const queue = createFairQueue<object, string>()
  const [large, small] = [{}, {}]
  for (const item of ['a1', 'a2', 'a3', 'a4']) queue.add(large, item)
  queue.add(small, 'b1')
  expect(queue.take()).toBe('a1')
  expect(queue.take()).toBe('b1')
  queue.add(small, 'b2')
  expect(queue.size).toBe(4)
  expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual(['a2', 'b2', 'a3', 'a4'])
  expect(queue.take()).toBeUndefined()
  expect(queue.size).toBe(0)
})
