import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { NotificationId } from '../../../contract/ids.ts'
import { createUnacknowledged } from './unacknowledged.ts'

const id = (number: number) => `id-${String(number)}` as NotificationId

it('moves the cursor behind an unbroken row of acknowledgements', () => {
  const deliveries = createUnacknowledged()
  for (let number = 1; number <= 5; number += 1) expect(deliveries.add(id(number))).toBe(number)
  expect(deliveries.acknowledge(2, false)).toBe(true)
  expect(deliveries.progress()).toEqual({ cursor: undefined, beyond: [id(2)] })
  expect(deliveries.acknowledge(1, false)).toBe(true)
  expect(deliveries.progress()).toEqual({ cursor: id(2), beyond: [] })
  expect(deliveries.acknowledge(4, true)).toBe(true)
  expect(deliveries.progress()).toEqual({ cursor: id(4), beyond: [] })
  expect(deliveries.size).toBe(1)
})

it('refuses tags that were not given out, and takes a second acknowledgement', () => {
  const deliveries = createUnacknowledged()
  deliveries.add(id(1))
  expect(deliveries.acknowledge(0, false)).toBe(false)
  expect(deliveries.acknowledge(2, true)).toBe(false)
  expect(deliveries.acknowledge(1, false)).toBe(true)
  expect(deliveries.acknowledge(1, true)).toBe(true)
  expect(deliveries.size).toBe(0)
})

it('passes over what is no notification', () => {
  const deliveries = createUnacknowledged()
  deliveries.add(id(1))
  deliveries.add(undefined)
  deliveries.acknowledge(2, true)
  expect(deliveries.progress()).toEqual({ cursor: id(1), beyond: [] })
})

it('tells exactly what was acknowledged, in any order', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.boolean())),
      (count, acknowledgements) => {
        const deliveries = createUnacknowledged()
        for (let number = 1; number <= count; number += 1) deliveries.add(id(number))
        const expected = new Set<number>()
        for (const [tag, isMultiple] of acknowledgements) {
          expect(deliveries.acknowledge(tag, isMultiple)).toBe(tag <= count)
          if (tag > count) continue
          for (let one = isMultiple ? 1 : tag; one <= tag; one += 1) expected.add(one)
        }
        const { cursor, beyond } = deliveries.progress()
        const upTo = Number(cursor?.slice(3) ?? 0)
        const told = [...Array(upTo).keys()].map((one) => one + 1)
        told.push(...beyond.map((one) => Number(one.slice(3))))
        expect(told).toEqual([...expected].sort((a, b) => a - b))
        expect(deliveries.size).toBe(count - expected.size)
      },
    ),
  )
})
