import { activationErrors } from '../../../contract/brig/activation.ts'
import type { activationApi } from '../../../contract/brig/activation.ts'
import { emailErrors } from '../../../contract/brig/email.ts'
import type { Email } from '../../../contract/brig/user-fields.ts'
import type { Handlers, Reply } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { Ids } from '../../../platform/ids.ts'
import { issueActivationCode } from '../activation-code.ts'
import type { AccountsConfig } from '../config.ts'
import type { Emails } from '../emails.ts'
import type { Mails } from '../mails/mails.ts'
import { keyOfEmail, normalizeKey } from '../rules/code-key.ts'
import { emailKey, parseEmail } from '../rules/email-address.ts'
import { judgeEmail } from '../rules/email-policy.ts'
import type { CodeStore } from '../store/codes.ts'
import type { User, UserStore } from '../store/users.ts'

export function activationHandlers(deps: {
  config: AccountsConfig
  users: UserStore
  emails: Emails
  codes: CodeStore
  mails: Mails
  ids: Ids
}): Handlers<typeof activationApi> {
  const { config, users, emails, codes, mails, ids } = deps

  const isWaitingFor = (user: User, email: Email): boolean =>
    user.emailUnvalidated !== undefined && emailKey(user.emailUnvalidated) === emailKey(email)

  async function activate(
    key: string,
    code: string,
    isDryRun: boolean,
  ): Promise<Reply<typeof activationApi.activate>> {
    const issued = await codes.check('activation', key, code)
    if (issued?.email === undefined) throw new ApiError(activationErrors.invalidCode)
    const { email } = issued
    const user = issued.user && (await users.get(issued.user))

    if (user === undefined) {
      // A code for an account that is still to be registered: it can be checked, not used up.
      if (issued.user === undefined && isDryRun)
        return { status: 200, body: { email, first: true } }
      throw new ApiError(activationErrors.invalidCode)
    }
    if (user.status === 'deleted') throw new ApiError(activationErrors.invalidCode)
    if (await emails.isVerified(user, email)) return { status: 204 }
    const isInterrupted = user.email !== undefined && emailKey(user.email) === emailKey(email)
    if (!isWaitingFor(user, email) && !isInterrupted) {
      throw new ApiError(activationErrors.invalidCode)
    }
    const first = !user.isActivated
    if (!isDryRun) {
      const verified = await emails.verify(user, email)
      if (verified === 'taken') throw new ApiError(emailErrors.taken)
      if (verified === 'gone') throw new ApiError(activationErrors.invalidCode)
    }
    return { status: 200, body: { email, first } }
  }

  function keyOf(body: { key?: string | undefined; email?: string | undefined }): string {
    if (body.key !== undefined) return normalizeKey(body.key)
    const email = parseEmail(body.email ?? '')
    if (email === undefined) throw new ApiError(emailErrors.invalid)
    return keyOfEmail(email)
  }

  /** The account that waits for the address, if it still does. */
  async function findWaiting(email: Email): Promise<User | undefined> {
    const issued = await codes.find('activation', keyOfEmail(email))
    const user = issued?.user && (await users.get(issued.user))
    const isWaiting = user && user.status !== 'deleted' && isWaitingFor(user, email)
    return isWaiting ? user : undefined
  }

  return {
    activateByLink: ({ query }) => activate(normalizeKey(query.key), query.code, false),
    activate: ({ body }) => activate(keyOf(body), body.code, body.dryrun),

    async sendActivationCode({ body }) {
      const email = parseEmail(body.email)
      if (email === undefined) throw new ApiError(emailErrors.invalid)
      const judgement = judgeEmail(email, config)
      if (judgement === 'refused-address') throw new ApiError(emailErrors.refused)
      if (judgement === 'refused-domain') throw new ApiError(activationErrors.blockedDomain)
      if ((await emails.find(email)) !== undefined) throw new ApiError(emailErrors.taken)

      const waiting = await findWaiting(email)
      const secret = await issueActivationCode({ codes, ids, config }, email, waiting?.id)
      const locale = body.locale ?? waiting?.locale ?? config.registration.defaultLocale
      await mails.sendActivation({ email, locale }, secret)
      return { status: 200 }
    },
  }
}
