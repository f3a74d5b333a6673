import { magicCookie, protection, uint16 } from './message.ts'
import { readWord } from './ip.ts'

/** What a Send indication asks for, read without making anything: one of these is used again and again. */
export interface SendIndication {
  family: 4 | 6
  /** The peer's address as words, see `Ip`. */
  a: number
  b: number
  c: number
  d: number
  port: number
  /** Where the payload begins, and its length. */
  dataAt: number
  dataBytes: number
  isUnfragmented: boolean
}

export function emptySendIndication(): SendIndication {
  return {
    family: 4,
    a: 0,
    b: 0,
    c: 0,
    d: 0,
    port: 0,
    dataAt: 0,
    dataBytes: 0,
    isUnfragmented: false,
  }
}

/** The first two bytes of a Send indication. */
export const sendIndicationType = 0x0016

const xorPeerAddress = 0x0012
const data = 0x0013
const dontFragment = 0x001a
const seenPeer = 1
const seenData = 2

/**
 * Reads the attributes of a Send indication whose header was found right. `other`: it is whole, but
 * something in it needs the slow way (a fingerprint, an integrity, an attribute that is not of it).
 */
export function readSendIndication(
  bytes: Uint8Array,
  at: number,
  length: number,
  into: SendIndication,
): 'read' | 'other' | 'malformed' {
  const end = at + length
  let seen = 0
  into.isUnfragmented = false
  let next = at + 20
  while (next < end) {
    const type = uint16(bytes, next)
    const value = next + 4
    const valueBytes = uint16(bytes, next + 2)
    if (value + valueBytes > end) return 'malformed'
    if (type === data && (seen & seenData) === 0) {
      seen |= seenData
      into.dataAt = value
      into.dataBytes = valueBytes
    } else if (type === xorPeerAddress && (seen & seenPeer) === 0) {
      seen |= seenPeer
      if (!readPeer(bytes, at, value, valueBytes, into)) return 'malformed'
    } else if (type === dontFragment) {
      if (valueBytes !== 0) return 'malformed'
      into.isUnfragmented = true
    } else if (type < 0x8000 || type === protection.fingerprint) {
      return 'other'
    }
    next = value + valueBytes + (-valueBytes & 3)
  }
  return seen === (seenPeer | seenData) ? 'read' : 'malformed'
}

function readPeer(
  bytes: Uint8Array,
  at: number,
  value: number,
  valueBytes: number,
  into: SendIndication,
): boolean {
  const family = bytes[value + 1]
  if (family === 1 && valueBytes === 8) {
    into.family = 4
    into.a = into.b = into.c = 0
    into.d = readWord(bytes, value + 4) ^ magicCookie
  } else if (family === 2 && valueBytes === 20) {
    into.family = 6
    into.a = readWord(bytes, value + 4) ^ magicCookie
    into.b = readWord(bytes, value + 8) ^ readWord(bytes, at + 8)
    into.c = readWord(bytes, value + 12) ^ readWord(bytes, at + 12)
    into.d = readWord(bytes, value + 16) ^ readWord(bytes, at + 16)
  } else {
    return false
  }
  into.port = uint16(bytes, value + 2) ^ (magicCookie >>> 16)
  return true
}
