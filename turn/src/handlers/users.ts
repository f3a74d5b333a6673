import { createHash, createSecretKey } from 'node:crypto'
import {
  longTermKey,
  longTermKeySha256,
  parseUsername,
  restPassword,
  wirePassword,
} from '../credentials.ts'

/** The secrets of a relay, read from their files. */
export interface Secrets {
  readonly wire: readonly Uint8Array[]
  readonly rest: readonly Uint8Array[]
  readonly static: readonly { readonly username: string; readonly password: string }[]
}

/** A user that exists at this moment; the integrity of the message says whether it is the one. */
export interface User {
  readonly username: string
  readonly quotaKey: string
  /** One for each secret that may have made the password. */
  readonly keys: readonly Uint8Array[]
  /** Of the tunnel between two sites, which this relay does not offer. */
  readonly isFederated: boolean
}

/** Who may use the relay. */
export interface Users {
  find(username: string, unixSeconds: number, keyHash: 'md5' | 'sha256'): User | undefined
  /** By SHA-256 of `name:realm`: possible for those alone whose names are known beforehand. */
  nameOf(userhash: Uint8Array): string | undefined
}

export function users(secrets: Secrets, realm: string): Users {
  const wireSecrets = secrets.wire.map((secret) => createSecretKey(secret))
  const restSecrets = secrets.rest.map((secret) => createSecretKey(secret))
  const known = new Map(secrets.static.map(({ username, password }) => [username, password]))
  const names = new Map(
    secrets.static.map(({ username }) => [
      createHash('sha256').update(`${username}:${realm}`, 'latin1').digest('hex'),
      username,
    ]),
  )

  function passwordsOf(
    username: string,
    unixSeconds: number,
  ): { passwords: readonly string[]; quotaKey: string; isFederated: boolean } | undefined {
    const password = known.get(username)
    if (password !== undefined) {
      return { passwords: [password], quotaKey: `static:${username}`, isFederated: false }
    }
    const parsed = parseUsername(username)
    if (parsed.kind === 'other' || unixSeconds >= parsed.expiresUnixSeconds) return undefined
    const { quotaKey } = parsed
    if (parsed.kind === 'wire') {
      const passwords = wireSecrets.map((secret) => wirePassword(secret, username))
      return { passwords, quotaKey, isFederated: parsed.isFederated }
    }
    const passwords = restSecrets.map((secret) => restPassword(secret, username))
    return { passwords, quotaKey, isFederated: false }
  }

  return {
    find(username, unixSeconds, keyHash) {
      const found = passwordsOf(username, unixSeconds)
      if (found === undefined || found.passwords.length === 0) return undefined
      const keyOf = keyHash === 'md5' ? longTermKey : longTermKeySha256
      return {
        username,
        quotaKey: found.quotaKey,
        keys: found.passwords.map((password) => keyOf(username, realm, password)),
        isFederated: found.isFederated,
      }
    },
    nameOf: (userhash) => names.get(Buffer.from(userhash).toString('hex')),
  }
}
