import { isIPv4, isIPv6 } from 'node:net'
import { MalformedMessage } from './malformed-message.ts'

/**
 * An address as four words of 32 bits in network order, signed, so that comparing and hashing them
 * allocates nothing. IPv4 lies in `d`, the other words are 0.
 */
export interface Ip {
  readonly family: 4 | 6
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

export interface Endpoint {
  readonly ip: Ip
  readonly port: number
}

export function ipv4(word: number): Ip {
  return { family: 4, a: 0, b: 0, c: 0, d: word | 0 }
}

export function ipv6(a: number, b: number, c: number, d: number): Ip {
  return { family: 6, a: a | 0, b: b | 0, c: c | 0, d: d | 0 }
}

export function isSameIp(one: Ip, other: Ip): boolean {
  return (
    one.d === other.d &&
    one.c === other.c &&
    one.b === other.b &&
    one.a === other.a &&
    one.family === other.family
  )
}

export function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && isSameIp(one.ip, other.ip)
}

/** The 32 bits in network order that begin at `at`. */
export function readWord(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  )
}

export function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}

/** Reads 4 or 16 bytes. */
export function readIp(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return ipv4(readWord(bytes, 0))
  if (bytes.length !== 16) throw new MalformedMessage('an address has 4 or 16 bytes')
  return ipv6(readWord(bytes, 0), readWord(bytes, 4), readWord(bytes, 8), readWord(bytes, 12))
}

/** The 4 or 16 bytes of an address. */
export function ipBytes(ip: Ip): Uint8Array {
  if (ip.family === 4) {
    const bytes = new Uint8Array(4)
    writeWord(bytes, 0, ip.d)
    return bytes
  }
  const bytes = new Uint8Array(16)
  writeWord(bytes, 0, ip.a)
  writeWord(bytes, 4, ip.b)
  writeWord(bytes, 8, ip.c)
  writeWord(bytes, 12, ip.d)
  return bytes
}

/** Reads an address as people write it; undefined when it is none. A zone (`%eth0`) is refused. */
export function parseIp(text: string): Ip | undefined {
  if (isIPv4(text)) return ipv4(wordOfDotted(text))
  if (!isIPv6(text) || text.includes('%')) return undefined
  let written = text
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted !== null) {
    const word = wordOfDotted(dotted[2] ?? '') >>> 0
    written = `${dotted[1] ?? ''}${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`
  }
  const [head = '', tail] = written.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
  const word = (at: number): number => ((groups[at] ?? 0) << 16) | (groups[at + 1] ?? 0)
  return ipv6(word(0), word(2), word(4), word(6))
}

function wordOfDotted(text: string): number {
  return text.split('.').reduce((word, part) => (word << 8) | Number(part), 0)
}

/** The address as people write it (RFC 5952 for IPv6). */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return [...ipBytes(ip)].join('.')
  const groups = [ip.a, ip.b, ip.c, ip.d].flatMap((word) => [word >>> 16, word & 0xffff])
  let [start, length] = [0, 1]
  for (let at = 0; at < 8; at += 1) {
    let end = at
    while (end < 8 && groups[end] === 0) end += 1
    if (end - at > length) [start, length] = [at, end - at]
  }
  const text = groups.map((group) => group.toString(16))
  if (length < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`
}

export function formatEndpoint({ ip, port }: Endpoint): string {
  return ip.family === 4 ? `${formatIp(ip)}:${String(port)}` : `[${formatIp(ip)}]:${String(port)}`
}
