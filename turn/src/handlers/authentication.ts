import type { Allocation, Owner } from '../allocation/allocation.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written } from '../wire/attributes.ts'
import type { Glance } from '../wire/glance.ts'
import type { Endpoint, Ip } from '../wire/ip.ts'
import type { ReceivedMessage } from '../wire/message.ts'
import { hasIntegrity } from '../wire/protection.ts'
import type { Nonces } from './nonce.ts'
import { refusalLimit } from './refusal-limit.ts'
import { refuse, type ErrorReply } from './reply.ts'
import type { Users } from './users.ts'

export interface Authenticator {
  /**
   * The checks of RFC 8489 §9.2.4 in its order; nothing about allocations shows before they pass.
   * Throws MalformedMessage.
   */
  check(
    message: ReceivedMessage,
    client: Endpoint,
    allocation: Allocation | undefined,
  ): Authentication
  /**
   * What `check` would refuse a stranger's request for, as far as a glance at it tells; undefined
   * when it has to be read.
   */
  refusesAtSight(bytes: Uint8Array, seen: Glance): 400 | 401 | 438 | undefined
  /** Whether the nonce that was seen is one of ours. */
  provesNonce(bytes: Uint8Array, seen: Glance, client: Endpoint): boolean
  nonceFor(client: Endpoint): string
  /** Whether the address has guesses left in this second; without, `check` ignores it. */
  mayGuess(source: Ip): boolean
  /** The reply to one that was refused. */
  refusal(code: 400 | 401 | 438, client: Endpoint): ErrorReply
}

/**
 * What the checks found. Refusals are named, not made: most of them are never sent, because an
 * unknown source gets only so many.
 */
export type Authentication =
  | {
      readonly kind: 'accepted'
      readonly owner: Owner
      readonly isFederated: boolean
      readonly integrity: Integrity
    }
  | { readonly kind: 'refused'; readonly code: 400 | 401 | 438 }
  /** The sender has proven who it is, so the reply is protected too. */
  | {
      readonly kind: 'foreign'
      readonly code: 441
      readonly seal: { readonly key: Uint8Array; readonly hash: Integrity }
    }
  /** This source has guessed too often in this second. */
  | { readonly kind: 'ignored' }

/** Which attribute protects a message. */
export type Integrity = 'sha1' | 'sha256'

const md5Algorithm = 1
const sha256Algorithm = 2
const refused = (code: 400 | 401 | 438): Authentication => ({ kind: 'refused', code })

/** What is offered, in this order. */
const algorithms = [sha256Algorithm, md5Algorithm]

export function authenticator(deps: {
  readonly users: Users
  readonly nonces: Nonces
  readonly realm: string
  readonly offersSha256: boolean
  /** Whether a running allocation ends to be refreshed with its credential. */
  readonly strictExpiry: boolean
  readonly unixSeconds: () => number
  readonly monotonicSeconds: () => number
  /** Wrong names and passwords of one address in a second; what it sends further is not looked at. */
  readonly guessesPerSecond: number
}): Authenticator {
  const { users, nonces, realm, offersSha256, strictExpiry } = deps
  const guesses = refusalLimit(deps.guessesPerSecond)

  /** Undefined when what the client says of algorithms is not what it was offered. */
  function keyHashOf(message: ReceivedMessage): 'md5' | 'sha256' | undefined {
    if (!offersSha256) return 'md5'
    const offered = find(message, attributes.passwordAlgorithms)
    const chosen = find(message, attributes.passwordAlgorithm)
    if (offered === undefined && chosen === undefined) return 'md5'
    if (offered === undefined || offered.join() !== algorithms.join()) return undefined
    if (chosen === sha256Algorithm) return 'sha256'
    return chosen === md5Algorithm ? 'md5' : undefined
  }

  return {
    refusesAtSight(bytes, seen) {
      if (!seen.hasIntegrity && !(offersSha256 && seen.hasIntegritySha256)) return 401
      if (!seen.namesUser || !seen.namesRealm || seen.nonceAt < 0) return 400
      const { nonceAt, nonceBytes } = seen
      return nonces.isPlausible(bytes, nonceAt, nonceBytes, deps.unixSeconds()) ? undefined : 438
    },
    provesNonce(bytes, { nonceAt, nonceBytes }, client) {
      const nonce = Buffer.from(bytes.subarray(nonceAt, nonceAt + nonceBytes)).toString('latin1')
      return nonces.isValid(nonce, client, deps.unixSeconds())
    },
    nonceFor: (client) => nonces.issue(client, deps.unixSeconds()),
    mayGuess: (source) => guesses.has(source, deps.monotonicSeconds()),
    refusal(code, client) {
      if (code === 400) return refuse(400)
      return refuse(
        code,
        written(attributes.realm, realm),
        written(attributes.nonce, nonces.issue(client, deps.unixSeconds())),
        ...(offersSha256 ? [written(attributes.passwordAlgorithms, algorithms)] : []),
      )
    },
    check(message, client, allocation) {
      const isSha256 = offersSha256 && message.integritySha256At !== undefined
      if (!isSha256 && message.integrityAt === undefined) return refused(401)

      const userhash = find(message, attributes.userhash)
      const username =
        find(message, attributes.username) ??
        (userhash === undefined ? undefined : users.nameOf(userhash))
      const nonce = find(message, attributes.nonce)
      if (username === undefined && userhash === undefined) return refused(400)
      if (find(message, attributes.realm) === undefined || nonce === undefined) return refused(400)

      const nowUnix = deps.unixSeconds()
      if (!nonces.isValid(nonce, client, nowUnix)) return refused(438)

      const keyHash = keyHashOf(message)
      if (keyHash === undefined) return refused(400)
      const integrity: Integrity = isSha256 ? 'sha256' : 'sha1'

      const holder = allocation?.owner
      if (
        !strictExpiry &&
        holder !== undefined &&
        holder.username === username &&
        holder.keyHash === keyHash &&
        hasIntegrity(message, holder.key, integrity)
      ) {
        return { kind: 'accepted', owner: holder, isFederated: false, integrity }
      }

      // The nonce proves that the address is the sender's own; now guessing costs us more than it.
      const nowSeconds = deps.monotonicSeconds()
      if (!guesses.has(client.ip, nowSeconds)) return { kind: 'ignored' }
      const user = username === undefined ? undefined : users.find(username, nowUnix, keyHash)
      if (user === undefined) {
        guesses.take(client.ip, nowSeconds)
        return refused(401)
      }
      const key = user.keys.find((key) => hasIntegrity(message, key, integrity))
      if (key === undefined) {
        guesses.take(client.ip, nowSeconds)
        return refused(401)
      }
      if (holder !== undefined && holder.username !== user.username) {
        return { kind: 'foreign', code: 441, seal: { key, hash: integrity } }
      }
      const owner: Owner = {
        username: user.username,
        quotaKey: user.quotaKey,
        // A copy: a small Buffer is part of a larger one, which would live as long as the allocation.
        key: Uint8Array.from(key),
        keyHash,
      }
      return { kind: 'accepted', owner, isFederated: user.isFederated, integrity }
    },
  }
}
