import { passwordErrors } from '../../contract/brig/password.ts'
import { ApiError } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import { limitKey } from '../../platform/http/networks.ts'
import type { Passwords } from '../../platform/passwords.ts'
import { admit } from '../../platform/rate.ts'
import type { Rate } from '../../platform/rate.ts'
import type { AccountsConfig } from './config.ts'
import type { PasswordStore } from './store/passwords.ts'

/**
 * Passwords, with a limit on how often they are hashed: each costs memory and time, and whoever
 * guesses should not get far. Beyond a limit everything here rejects with 429 `too-many-requests`.
 */
export interface Credentials {
  has(user: UserId): Promise<boolean>
  /** `none`: the user has no password. */
  check(user: UserId, password: string | undefined): Promise<'right' | 'wrong' | 'missing' | 'none'>
  /**
   * Takes as long for an account that does not exist, and is limited just so: `name` is what the
   * caller called it.
   */
  checkLogin(user: UserId | undefined, name: string, password: string): Promise<boolean>
  /** Gives a new account its password; counted by the caller's address. */
  setFirst(user: UserId, password: string, address: string): Promise<void>
  /** Replaces any password. */
  change(user: UserId, password: string): Promise<void>
  forget(user: UserId): Promise<void>
}

/** Remembered at once; beyond it the one longest unseen is forgotten. */
const maxCallers = 100_000

export function createCredentials(deps: {
  passwords: Passwords
  store: PasswordStore
  config: Pick<AccountsConfig, 'passwords'>
  clock: Pick<Clock, 'monotonicMs'>
}): Credentials {
  const { passwords, store, config, clock } = deps
  const countUser = counter(config.passwords.perUser, clock)
  const countAddress = counter(config.passwords.perAddress, clock)

  async function verify(
    user: UserId | undefined,
    password: string,
    hash: string | undefined,
  ): Promise<boolean> {
    if (!(await passwords.verify(password, hash))) return false
    if (user !== undefined && hash !== undefined && passwords.needsRehash(hash)) {
      // Lost when the password changes at the same moment, which makes a new hash anyway.
      await store.replace(user, hash, await passwords.hash(password))
    }
    return true
  }

  return {
    has: async (user) => (await store.get(user)) !== undefined,
    async check(user, password) {
      const hash = await store.get(user)
      if (hash === undefined) return 'none'
      if (password === undefined) return 'missing'
      countUser(user)
      return (await verify(user, password, hash)) ? 'right' : 'wrong'
    },
    async checkLogin(user, name, password) {
      countUser(user ?? name)
      return verify(user, password, user && (await store.get(user)))
    },
    async setFirst(user, password, address) {
      countAddress(limitKey(address))
      await store.replace(user, undefined, await passwords.hash(password))
    },
    async change(user, password) {
      countUser(user)
      const hash = await passwords.hash(password)
      for (let isDone = false; !isDone;) {
        isDone = await store.replace(user, await store.get(user), hash)
      }
    },
    forget: (user) => store.remove(user),
  }
}

function counter(rate: Rate, clock: Pick<Clock, 'monotonicMs'>): (key: string) => void {
  const due = new Map<string, number>()
  return (key) => {
    const outcome = admit(rate, due.get(key) ?? 0, clock.monotonicMs())
    if (!outcome.isAdmitted) {
      throw new ApiError(passwordErrors.tooManyChecks, {
        retryAfterSeconds: outcome.retryAfterMs / 1000,
      })
    }
    due.delete(key)
    due.set(key, outcome.dueMs)
    if (due.size > maxCallers) {
      const oldest = due.keys().next()
      if (!oldest.done) due.delete(oldest.value)
    }
  }
}
