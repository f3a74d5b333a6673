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

const hasKey = (email: Email | undefined, key: string): boolean =>
  email !== undefined && emailKey(email) === key

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
      const claimant = await claims.findClaimant(key)
      if (claimant === undefined) return undefined
      const { user, isHeld } = claimant
      if (isHeld && hasKey(user.email, key)) return user
      const claimed = [user.email, user.emailUnvalidated].find((address) => hasKey(address, key))
      if (claimed === undefined) return undefined
      // The code was right, or there would be no claim; then something stopped us. Go on from there.
      const verified = await emails.verify(user, claimed)
      return typeof verified === 'string' ? undefined : verified
    },

    async verify(user, email, { isNewAccount = false } = {}) {
      const key = emailKey(email)
      if ((await claims.claim(key, user.id)) === 'taken') return 'taken'
      const previous = user.email
      const verified = await users.update(
        user,
        {
          email,
          isActivated: true,
          // Another one may wait already, when this is the end of an attempt that was interrupted.
          ...(hasKey(user.emailUnvalidated, key) && { emailUnvalidated: undefined }),
        },
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
      if (previous !== undefined && !hasKey(previous, key)) {
        await claims.release(emailKey(previous), user.id)
      }
      await claims.hold(key, user.id)
      return verified
    },

    async isVerified(user, email) {
      const claimant = await claims.findClaimant(emailKey(email))
      return claimant?.user.id === user.id && claimant.isHeld && hasKey(user.email, emailKey(email))
    },

    release: (user, email) => claims.release(emailKey(email), user.id),
  }
  return emails
}
