import type { Allocation, Owner } from '../allocation/allocation.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written } from '../wire/attributes.ts'
import type { Endpoint } from '../wire/ip.ts'
import type { ReceivedMessage } from '../wire/message.ts'
import { hasIntegrity } from '../wire/protection.ts'
import type { Nonces } from './nonce.ts'
import { refuse, type Reply } from './reply.ts'
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
}

export type Authentication =
  | {
      readonly kind: 'accepted'
      readonly owner: Owner
      readonly isFederated: boolean
      readonly integrity: Integrity
    }
  /** With `seal` the sender has proven who it is, and the reply is protected too. */
  | {
      readonly kind: 'refused'
      readonly reply: Reply
      readonly seal?: { key: Uint8Array; hash: Integrity }
    }

/** Which attribute protects a message. */
export type Integrity = 'sha1' | 'sha256'

const md5Algorithm = 1
const sha256Algorithm = 2
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
}): Authenticator {
  const { users, nonces, realm, offersSha256, strictExpiry } = deps

  function challenge(code: 401 | 438, client: Endpoint): Authentication {
    const reply = refuse(
      code,
      written(attributes.realm, realm),
      written(attributes.nonce, nonces.issue(client, deps.unixSeconds())),
      ...(offersSha256 ? [written(attributes.passwordAlgorithms, algorithms)] : []),
    )
    return { kind: 'refused', reply }
  }
  const bad: Authentication = { kind: 'refused', reply: refuse(400) }

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
    check(message, client, allocation) {
      const isSha256 = offersSha256 && message.integritySha256At !== undefined
      if (!isSha256 && message.integrityAt === undefined) return challenge(401, client)

      const userhash = find(message, attributes.userhash)
      const username =
        find(message, attributes.username) ??
        (userhash === undefined ? undefined : users.nameOf(userhash))
      const nonce = find(message, attributes.nonce)
      if (username === undefined && userhash === undefined) return bad
      if (find(message, attributes.realm) === undefined || nonce === undefined) return bad

      const nowUnix = deps.unixSeconds()
      if (!nonces.isValid(nonce, client, nowUnix)) return challenge(438, client)

      const keyHash = keyHashOf(message)
      if (keyHash === undefined) return bad
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

      const user = username === undefined ? undefined : users.find(username, nowUnix, keyHash)
      if (user === undefined) return challenge(401, client)
      const key = user.keys.find((key) => hasIntegrity(message, key, integrity))
      if (key === undefined) return challenge(401, client)
      if (holder !== undefined && holder.username !== user.username) {
        return { kind: 'refused', reply: refuse(441), seal: { key, hash: integrity } }
      }
      const owner: Owner = { username: user.username, quotaKey: user.quotaKey, key, keyHash }
      return { kind: 'accepted', owner, isFederated: user.isFederated, integrity }
    },
  }
}
