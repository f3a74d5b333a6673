import { randomInt } from 'node:crypto'
import type { Ip } from '../wire/ip.ts'

/**
 * How many refusals an address still gets in this second. A table of fixed size: sources that share
 * a place share the limit, and a flood from a million addresses costs no memory.
 */
export interface RefusalLimit {
  /** Whether there is one left in this second. */
  has(source: Ip, nowSeconds: number): boolean
  /** Uses one up. */
  take(source: Ip, nowSeconds: number): void
}

const places = 1 << 16
const maxCount = 0xffff

/** `perSecond` for an address, or a /64 of IPv6; from 65,535 on there is no limit. */
export function refusalLimit(perSecond: number): RefusalLimit {
  const seed = randomInt(2 ** 32)
  const seconds = new Uint16Array(places)
  const counts = new Uint16Array(places)
  const isUnlimited = perSecond >= maxCount

  function placeOf({ family, a, b, d }: Ip): number {
    const high = family === 4 ? 0 : a
    let hash = Math.imul(seed ^ (family === 4 ? d : b), 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15) ^ high, 0x85ebca6b)
    return (hash ^ (hash >>> 16)) & (places - 1)
  }

  return {
    has(source, nowSeconds) {
      if (isUnlimited) return true
      const place = placeOf(source)
      return seconds[place] !== (nowSeconds & 0xffff) || (counts[place] ?? 0) < perSecond
    },
    take(source, nowSeconds) {
      const place = placeOf(source)
      const second = nowSeconds & 0xffff
      if (seconds[place] !== second) {
        seconds[place] = second
        counts[place] = 0
      }
      const count = counts[place] ?? 0
      if (count < maxCount) counts[place] = count + 1
    },
  }
}
