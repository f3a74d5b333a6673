import { hash } from 'node:crypto'

export type HashName = 'sha1' | 'sha256'

/** Of SHA-1 and SHA-256 alike. */
const blockBytes = 64

/**
 * HMAC (RFC 2104) over the parts, by two one-shot hashes. Node's `createHmac` turns each key into an
 * object first, which costs more than ten times the hashing of a message as short as ours.
 */
export function hmac(name: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const short = key.length > blockBytes ? digest(name, key) : key
  let length = blockBytes
  for (const part of parts) length += part.length
  const inner = Buffer.allocUnsafe(length)
  pad(inner, short, 0x36)
  let at = blockBytes
  for (const part of parts) {
    inner.set(part, at)
    at += part.length
  }
  const outer = Buffer.allocUnsafe(blockBytes + (name === 'sha1' ? 20 : 32))
  pad(outer, short, 0x5c)
  outer.write(hash(name, inner, 'binary'), blockBytes, 'latin1')
  return digest(name, outer)
}

/**
 * The same for many messages of one length under one key, in memory that is laid out once: for what
 * strangers can ask for as often as they like.
 */
export interface FixedHmac {
  /** To be filled before `digest`. */
  readonly message: Uint8Array
  /** A byte per character. */
  digest(): string
}

export function fixedHmac(name: HashName, key: Uint8Array, messageBytes: number): FixedHmac {
  const short = key.length > blockBytes ? digest(name, key) : key
  const inner = Buffer.alloc(blockBytes + messageBytes)
  pad(inner, short, 0x36)
  const outer = Buffer.alloc(blockBytes + (name === 'sha1' ? 20 : 32))
  pad(outer, short, 0x5c)
  return {
    message: inner.subarray(blockBytes),
    digest() {
      outer.write(hash(name, inner, 'binary'), blockBytes, 'latin1')
      return hash(name, outer, 'binary')
    },
  }
}

/** As text first: handing out a buffer costs several times the hashing. */
function digest(name: HashName, bytes: Uint8Array): Buffer {
  return Buffer.from(hash(name, bytes, 'binary'), 'latin1')
}

function pad(block: Uint8Array, key: Uint8Array, mask: number): void {
  for (let at = 0; at < blockBytes; at += 1) block[at] = (key[at] ?? 0) ^ mask
}
