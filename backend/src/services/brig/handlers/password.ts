import { passwordErrors } from '../../../contract/brig/password.ts'
import type { passwordApi } from '../../../contract/brig/password.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Ids } from '../../../platform/ids.ts'
import type { AccountsConfig } from '../config.ts'
import type { Credentials } from '../credentials.ts'
import type { Emails } from '../emails.ts'
import type { Mails } from '../mails/mails.ts'
import { requireIdentity, requireSelf } from '../require-user.ts'
import { keyOfUser, normalizeKey } from '../rules/code-key.ts'
import { parseEmail } from '../rules/email-address.ts'
import type { Sessions } from '../sessions.ts'
import type { CodeStore } from '../store/codes.ts'
import type { UserStore } from '../store/users.ts'

const resetCodeBytes = 24

export function passwordHandlers(deps: {
  config: AccountsConfig
  users: Pick<UserStore, 'get'>
  emails: Pick<Emails, 'find'>
  codes: CodeStore
  credentials: Credentials
  sessions: Sessions
  mails: Mails
  ids: Ids
}): Handlers<typeof passwordApi> {
  const { config, users, emails, codes, credentials, sessions, mails, ids } = deps

  /**
   * Sessions end before the change too: if we stop in between, the user is logged out with the old
   * password, rather than a thief still logged in after the new one.
   */
  async function setPassword(user: UserId, password: string): Promise<void> {
    await sessions.revoke(user, () => true)
    await credentials.change(user, password)
    await sessions.revoke(user, () => true)
  }

  return {
    async checkPasswordExists({ caller }) {
      return { status: (await credentials.has(caller.user)) ? 200 : 404 }
    },

    async changePassword({ caller, body }) {
      const user = await requireSelf(users, caller.user)
      requireIdentity(user)
      const verdict = await credentials.check(user.id, body.old_password)
      if (verdict === 'wrong' || verdict === 'missing') throw new ApiError(passwordErrors.isWrong)
      if (verdict === 'right' && body.old_password === body.new_password) {
        throw new ApiError(passwordErrors.mustDiffer)
      }
      await setPassword(user.id, body.new_password)
      return { status: 200 }
    },

    async requestPasswordReset({ body }) {
      const email = parseEmail(body.email ?? '')
      const user = email && (await emails.find(email))
      // Neither the answer nor the time it takes tells whether the address belongs to anybody.
      if (user?.status === 'active' && user.email !== undefined) {
        const key = keyOfUser(user.id)
        const code = ids.token(resetCodeBytes)
        const ttlSeconds = config.codes.passwordResetSeconds
        await codes.issue('password-reset', key, { code, ttlSeconds, user: user.id })
        mails.queuePasswordReset({ email: user.email, locale: user.locale }, { key, code })
      }
      return { status: 201 }
    },

    async completePasswordReset({ body }) {
      const key = normalizeKey(body.key)
      const issued = await codes.check('password-reset', key, body.code)
      const user = issued?.user && (await users.get(issued.user))
      if (user?.status !== 'active') throw new ApiError(passwordErrors.invalidResetCode)
      await setPassword(user.id, body.password)
      await codes.remove('password-reset', key)
      return { status: 200 }
    },
  }
}
