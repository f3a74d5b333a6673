import { emailErrors } from '../../../contract/brig/email.ts'
import type { emailApi } from '../../../contract/brig/email.ts'
import { sessionErrors } from '../../../contract/brig/session.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { Ids } from '../../../platform/ids.ts'
import { issueActivationCode } from '../activation-code.ts'
import type { AccountsConfig } from '../config.ts'
import type { Emails } from '../emails.ts'
import type { Mails } from '../mails/mails.ts'
import { requireSession } from '../require-session.ts'
import type { SessionDeps } from '../require-session.ts'
import { requireIdentity, requireSelf } from '../require-user.ts'
import { emailKey, parseEmail } from '../rules/email-address.ts'
import { judgeEmail } from '../rules/email-policy.ts'
import type { CodeStore } from '../store/codes.ts'
import type { UserStore } from '../store/users.ts'

export function emailHandlers(
  deps: SessionDeps & {
    config: AccountsConfig
    users: UserStore
    emails: Emails
    codes: CodeStore
    mails: Mails
    ids: Ids
  },
): Handlers<typeof emailApi> {
  const { config, users, emails, codes, mails, ids } = deps
  return {
    async changeEmail({ headers, query, body }) {
      const { user, connection } = await requireSession(deps, { headers, query })
      if (connection === undefined) throw new ApiError(sessionErrors.invalidToken)
      const email = parseEmail(body.email)
      if (email === undefined) throw new ApiError(emailErrors.invalid)
      if (judgeEmail(email, config) !== 'fine') throw new ApiError(emailErrors.refused)
      if (user.email !== undefined && emailKey(user.email) === emailKey(email)) {
        return { status: 204 }
      }
      if ((await emails.find(email)) !== undefined) throw new ApiError(emailErrors.taken)

      const waiting = await users.update(user, { emailUnvalidated: email })
      if (waiting === undefined) throw new Unavailable('changing a user who just changed')
      const secret = await issueActivationCode({ codes, ids, config }, email, user.id)
      await mails.sendEmailChange({ email, locale: user.locale }, secret)
      return { status: 202, body: [] }
    },

    async removeEmail({ caller }) {
      requireIdentity(await requireSelf(users, caller.user))
      // Single sign-on is the only other identity, and does not exist yet.
      throw new ApiError(emailErrors.isLastIdentity)
    },
  }
}
