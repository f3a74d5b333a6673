import { timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hmac } from './hmac.ts'
import { readWord, writeWord } from './ip.ts'
import {
  encodeMessage,
  protection,
  setUint16,
  type Message,
  type ReceivedMessage,
} from './message.ts'

/** XORed to the CRC, so that it differs from a checksum the payload may carry (RFC 8489 §14.7). */
const fingerprintMask = 0x5354554e

/** What a message is sealed with. `key` is that of the long-term credential (RFC 8489 §9.2.2). */
export interface Seal {
  readonly key?: Uint8Array | undefined
  readonly hash?: 'sha1' | 'sha256'
  readonly hasFingerprint?: boolean
}

/** The bytes of a message with its integrity, if there is a key, and its fingerprint, if asked for. */
export function sealMessage(message: Message, seal: Seal): Uint8Array {
  const { key, hash = 'sha1', hasFingerprint = false } = seal
  const macBytes = hash === 'sha1' ? 20 : 32
  const integrityRoom = key === undefined ? 0 : 4 + macBytes
  const bytes = encodeMessage(message, integrityRoom + (hasFingerprint ? 8 : 0))
  let end = bytes.length - integrityRoom - (hasFingerprint ? 8 : 0)
  if (key !== undefined) {
    setUint16(bytes, 2, end + integrityRoom - 20)
    setUint16(bytes, end, hash === 'sha1' ? protection.integrity : protection.integritySha256)
    setUint16(bytes, end + 2, macBytes)
    bytes.set(hmac(hash, key, bytes.subarray(0, end)), end + 4)
    end += integrityRoom
  }
  if (hasFingerprint) {
    setUint16(bytes, 2, end + 8 - 20)
    setUint16(bytes, end, protection.fingerprint)
    setUint16(bytes, end + 2, 4)
    writeWord(bytes, end + 4, fingerprintOf(bytes.subarray(0, end)))
  }
  return bytes
}

/** Whether the message carries the integrity of that hash, made with this key. */
export function hasIntegrity(
  message: ReceivedMessage,
  key: Uint8Array,
  hash: 'sha1' | 'sha256' = 'sha1',
): boolean {
  const at = hash === 'sha1' ? message.integrityAt : message.integritySha256At
  if (at === undefined) return false
  const { bytes } = message
  const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
  // The length that is authenticated ends with this attribute (RFC 8489 §14.5).
  const header = Uint8Array.from(bytes.subarray(0, 20))
  setUint16(header, 2, at + 4 + length - 20)
  const expected = hmac(hash, key, header, bytes.subarray(20, at))
  return timingSafeEqual(expected.subarray(0, length), bytes.subarray(at + 4, at + 4 + length))
}

/** What FINGERPRINT holds after these bytes, as a word with a sign. */
export function fingerprintOf(bytes: Uint8Array): number {
  return crc32(bytes) ^ fingerprintMask
}

/** Whether there is no fingerprint, or a right one. */
export function isFingerprintRight({ bytes, fingerprintAt }: ReceivedMessage): boolean {
  if (fingerprintAt === undefined) return true
  return readWord(bytes, fingerprintAt + 4) === fingerprintOf(bytes.subarray(0, fingerprintAt))
}
