/**
 * The credentials of the relay: names and passwords that are checked with nothing but a shared
 * secret and a clock. Depends on node:crypto alone, because who issues them imports this file too.
 */
import { createHash, createHmac, hash, type KeyObject } from 'node:crypto'

export interface Credential {
  readonly username: string
  /** Base64. */
  readonly password: string
}

/** What a name says about itself; nothing of it is proven before the password is. */
export type ParsedUsername =
  | {
      readonly kind: 'wire'
      readonly expiresUnixSeconds: number
      readonly quotaKey: string
      /** Of the tunnel between relays of two sites. */
      readonly isFederated: boolean
    }
  | { readonly kind: 'rest'; readonly expiresUnixSeconds: number; readonly quotaKey: string }
  | { readonly kind: 'other' }

const wireUsername = /^(sft-)?d=(\d{1,10})\.v=1\.k=(\d{1,10})\.t=s\.r=([-_A-Za-z0-9]*)$/
const restUsername = /^(\d{1,10})(?::(.*))?$/s

/** The name and password with which a user of Wire may use a relay until `expiresUnixSeconds`. */
export function issueWireCredential(
  userId: string,
  secret: Secret,
  expiresUnixSeconds: number,
): Credential {
  const username = `d=${String(expiresUnixSeconds)}.v=1.k=0.t=s.r=${wireUserName(userId)}`
  return { username, password: wirePassword(secret, username) }
}

/**
 * The `r` of a user: the same in each of its names, and telling nothing about who it is. The first
 * 16 bytes of SHA-256 over the 16 bytes of the id, as one number whose first byte counts least, in
 * letters. Throws RangeError when `userId` is no UUID.
 */
export function wireUserName(userId: string): string {
  const id = Buffer.from(userId.replaceAll('-', ''), 'hex')
  if (id.length !== 16) throw new RangeError('a user id is a UUID')
  const hash = createHash('sha256').update(id).digest().subarray(0, 16)
  let left = BigInt(`0x${hash.reverse().toString('hex')}`)
  let text = ''
  do {
    text = String.fromCharCode(0x61 + Number(left % 26n)) + text
    left /= 26n
  } while (left > 0n)
  return text
}

/** A secret; who uses one often makes an object of it once (`createSecretKey`), for that costs most. */
export type Secret = Uint8Array | KeyObject

/** 88 characters. */
export function wirePassword(secret: Secret, username: string): string {
  return createHmac('sha512', secret).update(username, 'latin1').digest('base64')
}

/** The password of the scheme that most relays know as "TURN REST API". */
export function restPassword(secret: Secret, username: string): string {
  return createHmac('sha1', secret).update(username, 'latin1').digest('base64')
}

export function parseUsername(username: string): ParsedUsername {
  const wire = wireUsername.exec(username)
  if (wire !== null) {
    return {
      kind: 'wire',
      expiresUnixSeconds: Number(wire[2]),
      quotaKey: `wire:${wire[4] ?? ''}`,
      isFederated: wire[1] !== undefined,
    }
  }
  const rest = restUsername.exec(username)
  if (rest !== null) {
    return {
      kind: 'rest',
      expiresUnixSeconds: Number(rest[1]),
      quotaKey: `rest:${rest[2] ?? ''}`,
    }
  }
  return { kind: 'other' }
}

/** The key of a long-term credential (RFC 8489 §9.2.2). Text is latin1: a byte per character. */
export function longTermKey(username: string, realm: string, password: string): Uint8Array {
  return digest('md5', `${username}:${realm}:${password}`)
}

/** The same with SHA-256, for clients that chose it (RFC 8489 §18.5.1). */
export function longTermKeySha256(username: string, realm: string, password: string): Uint8Array {
  return digest('sha256', `${username}:${realm}:${password}`)
}

/** As text first: handing out a buffer costs several times the hashing. */
function digest(name: 'md5' | 'sha256', text: string): Uint8Array {
  return Buffer.from(hash(name, Buffer.from(text, 'latin1'), 'binary'), 'latin1')
}
