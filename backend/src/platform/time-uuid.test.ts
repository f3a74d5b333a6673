import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareTimeUuid,
  hashBitsOf,
  msOfTicks,
  ticksOf,
  ticksOfMs,
  timeUuid,
} from './time-uuid.ts'

const anyTicks = fc.bigInt({ min: 0n, max: (1n << 60n) - 1n })
const anyLow62 = fc.uint8Array({ minLength: 8, maxLength: 8 })
const zeros = new Uint8Array(8)

describe('a time UUID', () => {
  it('is the example of RFC 9562, appendix A.1', () => {
    // 2022-02-22 19:22:22 UTC, clock sequence 0x33c8, node 9f:6b:de:ce:d8:46
    const low62 = Uint8Array.of(0xb3, 0xc8, 0x9f, 0x6b, 0xde, 0xce, 0xd8, 0x46)
    const ticks = ticksOfMs(Date.UTC(2022, 1, 22, 19, 22, 22))
    expect(timeUuid(ticks, low62)).toBe('c232ab00-9414-11ec-b3c8-9f6bdeced846')
  })

  it('gives back what it was made of', () => {
    fc.assert(
      fc.property(anyTicks, anyLow62, (ticks, low62) => {
        const uuid = timeUuid(ticks, low62)
        const [first = 0, ...rest] = low62
        expect(ticksOf(uuid)).toBe(ticks)
        expect(ticksOf(uuid.toUpperCase())).toBe(ticks)
        expect(hashBitsOf(uuid)).toEqual(Uint8Array.of(first & 0x3f, ...rest))
      }),
    )
  })

  it('refuses a time that does not fit', () => {
    expect(() => timeUuid(-1n, zeros)).toThrow(RangeError)
    expect(() => timeUuid(1n << 60n, zeros)).toThrow(RangeError)
    expect(() => timeUuid(0n, new Uint8Array(7))).toThrow(RangeError)
  })

  it.each([
    ['an empty text', ''],
    ['version 4', 'c232ab00-9414-41ec-b3c8-9f6bdeced846'],
    ['another variant', 'c232ab00-9414-11ec-c3c8-9f6bdeced846'],
    ['a letter that is no digit', 'c232ab00-9414-11ec-b3c8-9f6bdeceg846'],
    ['a letter beyond ASCII', 'c232ab00-9414-11ec-b3c8-9f6bdece\u{101}846'],
    ['no dashes', 'c232ab00941411ecb3c89f6bdeced846'],
    ['a dash elsewhere', 'c232ab009-414-11ec-b3c8-9f6bdeced846'],
    ['braces', '{c232ab00-9414-11ec-b3c8-9f6bdeced846}'],
    ['a character too many', 'c232ab00-9414-11ec-b3c8-9f6bdeced8466'],
  ])('is not %s', (_, text) => {
    expect(ticksOf(text)).toBeUndefined()
    expect(hashBitsOf(text)).toBeUndefined()
  })

  it('reads any text as a time or as nothing', () => {
    const valid = timeUuid(ticksOfMs(0), zeros)
    const mutated = fc
      .tuple(fc.nat(35), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }))
      .map(([at, character]) => valid.slice(0, at) + character + valid.slice(at + 1))
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.uuid(), mutated), (text) => {
        const ticks = ticksOf(text)
        if (ticks === undefined) return
        const low62 = hashBitsOf(text) ?? new Uint8Array()
        expect(timeUuid(ticks, low62)).toBe(text.toLowerCase())
      }),
    )
  })
})

describe('the order of time UUIDs', () => {
  it('is the order of their times', () => {
    fc.assert(
      fc.property(anyTicks, anyTicks, anyLow62, anyLow62, (one, other, low, otherLow) => {
        fc.pre(one !== other)
        const order = compareTimeUuid(timeUuid(one, low), timeUuid(other, otherLow))
        expect(Math.sign(order)).toBe(one < other ? -1 : 1)
      }),
    )
  })

  it('takes the bytes after the time as signed numbers, as Cassandra does', () => {
    fc.assert(
      fc.property(anyTicks, anyLow62, anyLow62, (ticks, low, otherLow) => {
        const signed = (bytes: Uint8Array) => [...new Int8Array(bytes.map((byte) => byte))]
        const uuids = [timeUuid(ticks, low), timeUuid(ticks, otherLow)] as const
        const [left, right] = uuids.map((uuid) => signed(hashBitsOf(uuid) ?? zeros))
        const at = left?.findIndex((byte, index) => byte !== right?.[index]) ?? -1
        const expected = at < 0 ? 0 : Math.sign((left?.[at] ?? 0) - (right?.[at] ?? 0))
        expect(Math.sign(compareTimeUuid(...uuids))).toBe(expected)
      }),
    )
    const [minusOne, one] = [0xff, 0x01].map((byte) =>
      timeUuid(5n, Uint8Array.of(0, 0, byte, 0, 0, 0, 0, 0)),
    )
    expect(compareTimeUuid(minusOne ?? '', one ?? '')).toBeLessThan(0)
  })
})

describe('ticks', () => {
  it('turn back into the millisecond they lie in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e13 }), fc.nat(9_999), (ms, rest) => {
        expect(msOfTicks(ticksOfMs(ms) + BigInt(rest))).toBe(ms)
      }),
    )
  })
})
