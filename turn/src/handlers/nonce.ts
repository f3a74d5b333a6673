import { timingSafeEqual } from 'node:crypto'
import { fixedHmac, type FixedHmac } from '../wire/hmac.ts'
import { readWord, writeWord, type Endpoint } from '../wire/ip.ts'
import { setUint16 } from '../wire/message.ts'

/** Nonces that hold nothing but a time and a proof, so that asking for one leaves nothing behind. */
export interface Nonces {
  issue(client: Endpoint, unixSeconds: number): string
  /** Whether this relay, or one with the same key, gave it to that client not too long ago. */
  isValid(nonce: string, client: Endpoint, unixSeconds: number): boolean
  /**
   * Whether these bytes look like one that was given not too long ago. False is certain; true is
   * for `isValid` to confirm. Makes nothing and hashes nothing.
   */
  isPlausible(bytes: Uint8Array, at: number, length: number, unixSeconds: number): boolean
}

export const nonceSeconds = 600

/** Says that the features in the next four characters are the server's (RFC 8489 §9.2). */
const featureCookie = 'obMatJos2'
/** 24 bits: password algorithms. Names as hashes are not offered, for ours are not known beforehand. */
const features = Buffer.from([0x80, 0, 0]).toString('base64')

/** The six bits of each character of base64url; -1 for all others. */
const sixBits = new Int8Array(256).fill(-1)
for (const [value, character] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
].entries()) {
  sixBits[character.charCodeAt(0)] = value
}

/**
 * At most 28 characters. `offersSha256` puts the security features in front, so that nobody on the
 * way can take the better algorithm away without making the nonce wrong.
 */
export function nonces(key: Uint8Array, offersSha256: boolean): Nonces {
  const prefix = offersSha256 ? featureCookie + features : ''
  // Keys are shared with tokens, and nonces of either kind are not the other.
  const purpose = Buffer.from(`nonce ${prefix}`)
  const prefixBytes = Buffer.from(prefix, 'latin1')
  const proofBytes = offersSha256 ? 7 : 12
  const textBytes = Math.ceil(((4 + proofBytes) * 4) / 3)
  const isInTime = (issued: number, unixSeconds: number): boolean => {
    const age = (unixSeconds - issued) | 0
    return age <= nonceSeconds && age >= -nonceSeconds
  }

  const proofs = { 4: proofOver(4), 6: proofOver(16) } as const
  function proofOver(addressBytes: number): FixedHmac {
    const proof = fixedHmac('sha256', key, purpose.length + addressBytes + 6)
    proof.message.set(purpose)
    return proof
  }

  /** A byte per character; longer than what of it goes into the nonce. */
  function proofOf({ ip, port }: Endpoint, time: number): string {
    const proof = proofs[ip.family]
    const { message } = proof
    let at = purpose.length
    if (ip.family === 6) {
      writeWord(message, at, ip.a)
      writeWord(message, at + 4, ip.b)
      writeWord(message, at + 8, ip.c)
      at += 12
    }
    writeWord(message, at, ip.d)
    setUint16(message, at + 4, port)
    writeWord(message, at + 6, time)
    return proof.digest()
  }

  /** Time and proof of the nonce that is being made or looked at. */
  const content = Buffer.alloc(4 + proofBytes)
  function fill(client: Endpoint, time: number): Buffer {
    content.write(proofOf(client, time), 4, proofBytes, 'latin1')
    writeWord(content, 0, time)
    return content
  }

  return {
    issue: (client, unixSeconds) => prefix + fill(client, unixSeconds).toString('base64url'),
    isValid(nonce, client, unixSeconds) {
      if (!nonce.startsWith(prefix)) return false
      const text = nonce.slice(prefix.length)
      // Cheap first: what cannot be ours is not worth a hash.
      if (text.length !== textBytes) return false
      const bytes = Buffer.from(text, 'base64url')
      // Decoding overlooks foreign characters: only what encodes to the same text is ours.
      if (bytes.length !== 4 + proofBytes || bytes.toString('base64url') !== text) return false
      const time = readWord(bytes, 0)
      return isInTime(time, unixSeconds) && timingSafeEqual(bytes, fill(client, time))
    },
    isPlausible(bytes, at, length, unixSeconds) {
      if (length !== prefixBytes.length + textBytes) return false
      for (let i = 0; i < prefixBytes.length; i += 1) {
        if (bytes[at + i] !== prefixBytes[i]) return false
      }
      // 32 bits of time lie in the first six characters; all must be of the alphabet.
      let time = 0
      for (let i = prefixBytes.length; i < length; i += 1) {
        const bits = sixBits[bytes[at + i] ?? 0] ?? -1
        if (bits < 0) return false
        const place = i - prefixBytes.length
        if (place < 5) time = (time << 6) | bits
        else if (place === 5) time = (time << 2) | (bits >> 4)
      }
      return isInTime(time, unixSeconds)
    },
  }
}
