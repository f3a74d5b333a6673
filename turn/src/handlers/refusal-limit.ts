import { randomInt } from 'node:crypto'
import type { Ip } from '../wire/ip.ts'

/**
 * How many refusals an address still gets in this second. A table of fixed size: sources that share
 * a place share the limit, and a flood from a million addresses costs no memory.
 */
export interface RefusalLimit {
  take(source: Ip, nowSeconds: number): boolean
}

const places = 1 << 16

/** `perSecond` for an address, or a /64 of IPv6. */
export function refusalLimit(perSecond: number): RefusalLimit {
  const seed = randomInt(2 ** 32)
  /** The upper 24 bits are the second, the lower 8 the count. */
  const table = new Uint32Array(places)
  const limit = Math.min(perSecond, 255)

  return {
    take({ family, a, b, d }, nowSeconds) {
      const [high, low] = family === 4 ? [0, d] : [a, b]
      let hash = Math.imul(seed ^ low, 0x9e3779b1)
      hash = Math.imul(hash ^ (hash >>> 15) ^ high, 0x85ebca6b)
      const place = (hash ^ (hash >>> 16)) & (places - 1)
      const second = nowSeconds & 0xffffff
      const entry = table[place] ?? 0
      const count = entry >>> 8 === second ? entry & 0xff : 0
      if (count >= limit) return false
      table[place] = ((second << 8) | (count + 1)) >>> 0
      return true
    },
  }
}
