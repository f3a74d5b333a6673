import { randomUUID } from 'node:crypto'
import { assert, property, string, uuid } from 'fast-check'
import { expect, it } from 'vitest'
import { decodeValue, encodeValue } from './values.ts'

const compare = (a: string, b: string): number =>
  Buffer.compare(encodeValue('timeuuid', a) as Buffer, encodeValue('timeuuid', b) as Buffer)

it('stores uuids in 16 bytes that sort like their text', () => {
  assert(
    property(uuid(), uuid(), (a, b) => {
      const [first, second] = [a, b].map((text) => encodeValue('uuid', text) as Buffer)
      expect(first).toHaveLength(16)
      expect(decodeValue('uuid', first ?? '')).toBe(a)
      const textOrder = a < b ? -1 : a > b ? 1 : 0
      expect(Buffer.compare(first ?? Buffer.of(), second ?? Buffer.of())).toBe(textOrder)
    }),
  )
})

it('stores time ids in 16 bytes that sort by time', () => {
  assert(
    property(uuid({ version: 1 }), (id) => {
      const stored = encodeValue('timeuuid', id) as Buffer
      expect(stored).toHaveLength(16)
      expect(decodeValue('timeuuid', stored)).toBe(id)
    }),
  )
  // One tick apart, where the low, the middle and the high part of the time carry over.
  const node = '8000-0123456789ab'
  expect(compare(`ffffffff-0000-1000-${node}`, `00000000-0001-1000-${node}`)).toBe(-1)
  expect(compare(`ffffffff-ffff-1000-${node}`, `00000000-0000-1001-${node}`)).toBe(-1)
})

it('takes any text for a uuid or refuses it', () => {
  assert(
    property(string(), (text) => {
      expect(() => encodeValue('uuid', text)).toThrow(TypeError)
      expect(() => encodeValue('timeuuid', text)).toThrow(TypeError)
    }),
  )
  expect(() => encodeValue('timeuuid', randomUUID())).toThrow(TypeError)
})

it('does not tell the value that it refuses', () => {
  expect(() => encodeValue('uuid', 'secret')).toThrow(/^string is not a value.*uuid$/)
})
