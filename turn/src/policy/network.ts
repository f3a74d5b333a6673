import { parseIp, type Ip } from '../wire/ip.ts'

/** Addresses that begin with the same bits. */
export interface Network {
  readonly text: string
  contains(ip: Ip): boolean
}

/** Reads `10.0.0.0/8`, or an address alone. Throws RangeError. */
export function network(text: string): Network {
  const [address = '', length] = text.split('/')
  const base = parseIp(address)
  if (base === undefined) throw new RangeError(`${text} is not a network`)
  const allBits = base.family === 4 ? 32 : 128
  const bits = length === undefined ? allBits : Number(length)
  if (!Number.isInteger(bits) || bits < 0 || bits > allBits) {
    throw new RangeError(`${text} is not a network`)
  }
  const masks = [0, 1, 2, 3].map((word) => maskOf(bits - word * 32))
  const [first = 0, second = 0, third = 0, fourth = 0] =
    base.family === 4 ? [0, 0, 0, masks[0]] : masks
  return {
    text,
    contains: (ip) =>
      ip.family === base.family &&
      ((ip.a ^ base.a) & first) === 0 &&
      ((ip.b ^ base.b) & second) === 0 &&
      ((ip.c ^ base.c) & third) === 0 &&
      ((ip.d ^ base.d) & fourth) === 0,
  }
}

function maskOf(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}
