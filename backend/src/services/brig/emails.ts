import { selfUserOf } from './rules/self-user.ts'
import type { Email } from '../../contract/brig/user-fields.ts'
import type { Domain } from '../../contract/ids.ts'
import type { UserEvents } from './events.ts'
import type { People } from './halves.ts'
import { emailKey } from './rules/email-address.ts'
import type { ClaimStore } from './store/claims.ts'
import type { User, UserStore } from './store/users.ts'

/** E-mail addresses that were verified: each belongs to one user. */
export interface Emails {
  find(email: Email): Promise<User | undefined>
  /**
   * Gives the user the address, which is the one that waits to be verified, and tells the user's
   * devices. May be repeated, and is, until everything is done. `gone`: the user was deleted or
   * wants another address by now.
   */
  verify(
    user: User,
    email: Email,
    options?: { isNewAccount?: boolean },
  ): Promise<User | 'taken' | 'gone'>
  /** Whether everything that `verify` does was done. */
  isVerified(user: User, email: Email): Promise<boolean>
  release(user: User, email: Email): Promise<void>
}

export function createEmails(deps: {
  domain: Domain
  users: UserStore
  claims: ClaimStore
  events: UserEvents
  people: Pick<People, 'index'>
}): Emails {
  const { domain, users, claims, events, people } = deps

  const emails: Emails = {
    async find(email) {
      const key = emailKey(email)
      const user = await claims.findClaimant(key)
      if (user?.email !== undefined && emailKey(user.email) === key) return user
      const waiting = user?.emailUnvalidated
      if (user === undefined || waiting === undefined || emailKey(waiting) !== key) return undefined
      // The claim was made, so the code was right; then something stopped us. Go on from there.
      const verified = await emails.verify(user, waiting)
      return typeof verified === 'string' ? undefined : verified
    },

    async verify(user, email, { isNewAccount = false } = {}) {
      const key = emailKey(email)
      if ((await claims.claim(key, user.id)) === 'taken') return 'taken'
      const previous = user.email
      const verified = await users.update(
        user,
        { email, emailUnvalidated: undefined, isActivated: true },
        ['emailUnvalidated'],
      )
      if (verified === undefined) return 'gone'
      if (!isNewAccount) {
        const event = user.isActivated
          ? ({ type: 'user.update', user: { id: user.id, email, sso_id_deleted: false } } as const)
          : ({ type: 'user.activate', user: selfUserOf(verified, domain) } as const)
        await events.publish([{ recipients: [user.id], event }])
      }
      await people.index(verified)
      if (previous !== undefined && emailKey(previous) !== key) {
        await claims.release(emailKey(previous), user.id)
      }
      await claims.hold(key, user.id)
      return verified
    },

    async isVerified(user, email) {
      const key = emailKey(email)
      if (user.email === undefined || emailKey(user.email) !== key) return false
      return claims.isHeldBy(key, user.id)
    },

    release: (user, email) => claims.release(emailKey(email), user.id),
  }
  return emails
}
