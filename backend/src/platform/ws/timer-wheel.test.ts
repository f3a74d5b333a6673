import { expect, it } from 'vitest'
import { fakeClock } from '../fake-clock.ts'
import { createTimerWheel } from './timer-wheel.ts'
import type { WheelItem } from './timer-wheel.ts'

function item(): WheelItem & { turns: number } {
  return {
    turns: 0,
    wheelSlot: -1,
    wheelIndex: -1,
    onTurn() {
      this.turns += 1
    },
  }
}

it('visits every item once in a turn, spread over its seconds', async () => {
  const clock = fakeClock()
  const stopping = new AbortController()
  const wheel = createTimerWheel({ clock, turnSeconds: 10 })
  const running = wheel.run(stopping.signal)
  const items = Array.from({ length: 25 }, () => item())
  for (const one of items) wheel.add(one)
  expect(wheel.size).toBe(25)

  await clock.advance(1000)
  const visited = items.filter(({ turns }) => turns === 1).length
  expect(visited).toBeGreaterThanOrEqual(2)
  expect(visited).toBeLessThanOrEqual(3)
  await clock.advance(9000)
  expect(items.every(({ turns }) => turns === 1)).toBe(true)
  await clock.advance(20_000)
  expect(items.every(({ turns }) => turns === 3)).toBe(true)
  stopping.abort()
  await running
})

it('forgets what is removed, also while it turns', async () => {
  const clock = fakeClock()
  const stopping = new AbortController()
  const wheel = createTimerWheel({ clock, turnSeconds: 1 })
  const running = wheel.run(stopping.signal)
  const [first, second, third] = [item(), item(), item()]
  const remover = { ...item(), onTurn: () => wheel.remove(second) }
  for (const one of [first, remover, second, third]) wheel.add(one)
  wheel.remove(first)
  wheel.remove(first)
  await clock.advance(3000)
  expect(wheel.size).toBe(2)
  expect([first.turns, second.turns, third.turns]).toEqual([0, 1, 3])
  expect([...wheel.items()]).toEqual([third, remover])
  stopping.abort()
  await running
})
