import { headerBytes, magicCookie, protection, uint16 } from './message.ts'
import { readWord } from './ip.ts'

/**
 * What decides whether a stranger's message is worth reading, found without making anything of it:
 * a flood has to cost less than the packets it consists of. One object serves all messages.
 */
export interface Glance {
  /** 14 bits: class and method. */
  type: number
  hasIntegrity: boolean
  hasIntegritySha256: boolean
  /** Where FINGERPRINT begins, or -1; whether it is right is not checked here. */
  fingerprintAt: number
  /** By USERNAME or USERHASH. */
  namesUser: boolean
  namesRealm: boolean
  /** Where the value of NONCE begins, or -1. */
  nonceAt: number
  nonceBytes: number
}

export function emptyGlance(): Glance {
  return {
    type: 0,
    hasIntegrity: false,
    hasIntegritySha256: false,
    fingerprintAt: -1,
    namesUser: false,
    namesRealm: false,
    nonceAt: -1,
    nonceBytes: 0,
  }
}

const username = 0x0006
const realm = 0x0014
const nonce = 0x0015
const userhash = 0x001e

/** Takes as a message what `decodeMessage` takes, if the four attributes it reads are of a right length. */
export function glance(
  bytes: Uint8Array,
  start: number,
  length: number,
  into: Glance,
): 'message' | 'not-turn' | 'malformed' {
  if (
    length < headerBytes ||
    (length & 3) !== 0 ||
    (bytes[start] ?? 0xff) >= 0x40 ||
    uint16(bytes, start + 2) !== length - headerBytes ||
    readWord(bytes, start + 4) !== magicCookie
  ) {
    return 'not-turn'
  }
  into.type = uint16(bytes, start)
  into.hasIntegrity = false
  into.hasIntegritySha256 = false
  into.fingerprintAt = -1
  into.namesUser = false
  into.namesRealm = false
  into.nonceAt = -1
  into.nonceBytes = 0
  const end = start + length
  let at = start + headerBytes
  while (at < end) {
    if (into.fingerprintAt >= 0) return 'malformed'
    const type = uint16(bytes, at)
    const size = uint16(bytes, at + 2)
    if (at + 4 + size > end) return 'malformed'
    if (!note(type, size, at, into)) return 'malformed'
    at += 4 + size + (-size & 3)
  }
  return 'message'
}

/** False when an attribute has a length that it cannot have. Of repeated ones the first counts. */
function note(type: number, size: number, at: number, into: Glance): boolean {
  if (type === protection.fingerprint) {
    into.fingerprintAt = at
    return size === 4
  }
  if (type === protection.integrity) {
    if (!into.hasIntegritySha256) into.hasIntegrity = true
    return size === 20
  }
  if (type === protection.integritySha256) {
    into.hasIntegritySha256 = true
    return size >= 16 && size <= 32 && (size & 3) === 0
  }
  if (into.hasIntegrity || into.hasIntegritySha256) return true
  if (type === username || type === userhash) {
    into.namesUser = true
    return type === username ? size <= 513 : size === 32
  }
  if (type === realm) {
    into.namesRealm = true
    return size <= 763
  }
  if (type === nonce && into.nonceAt < 0) {
    into.nonceAt = at + 4
    into.nonceBytes = size
    return size <= 763
  }
  return true
}
