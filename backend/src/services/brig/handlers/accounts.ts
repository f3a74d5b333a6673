import { accountErrors } from '../../../contract/brig/accounts.ts'
import type { accountsApi } from '../../../contract/brig/accounts.ts'
import { activationErrors } from '../../../contract/brig/activation.ts'
import { clientErrors } from '../../../contract/brig/clients.ts'
import { emailErrors } from '../../../contract/brig/email.ts'
import { passwordErrors } from '../../../contract/brig/password.ts'
import type { SelfUser } from '../../../contract/brig/self-user.ts'
import type { Email } from '../../../contract/brig/user-fields.ts'
import type { HandlerInput, Handlers, ReplyHeaders } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Ids } from '../../../platform/ids.ts'
import { issueActivationCode } from '../activation-code.ts'
import type { AccountsConfig } from '../config.ts'
import type { Credentials } from '../credentials.ts'
import type { AccountDeletion } from '../deletion.ts'
import type { Emails } from '../emails.ts'
import type { Mails } from '../mails/mails.ts'
import { requireSelf } from '../require-user.ts'
import { keyOfEmail, keyOfUser, normalizeKey } from '../rules/code-key.ts'
import { parseEmail } from '../rules/email-address.ts'
import { judgeEmail } from '../rules/email-policy.ts'
import { selfUserOf } from '../rules/self-user.ts'
import type { Sessions } from '../sessions.ts'
import type { CodeStore } from '../store/codes.ts'
import type { User, UserStore } from '../store/users.ts'

/** Of the code that confirms a deletion. */
const deletionCodeBytes = 15

export interface AccountHandlerDeps {
  domain: Domain
  config: AccountsConfig
  users: UserStore
  emails: Emails
  codes: CodeStore
  credentials: Credentials
  sessions: Sessions
  deletion: AccountDeletion
  mails: Mails
  clock: Pick<Clock, 'nowMs'>
  ids: Ids
}

type Registration = Pick<HandlerInput<typeof accountsApi.register>, 'body' | 'request'>

export function accountHandlers(deps: AccountHandlerDeps): Handlers<typeof accountsApi> {
  const { domain, config, users, emails, codes, credentials, sessions } = deps
  const { deletion, mails, clock, ids } = deps

  /** The address, if it may be registered and the code, if there is one, is right. */
  async function admitEmail(text: string, code: string | undefined): Promise<Email> {
    if (!config.registration.isOpen) throw new ApiError(accountErrors.registrationRestricted)
    const email = parseEmail(text)
    if (email === undefined) throw new ApiError(emailErrors.invalid)
    if (judgeEmail(email, config) !== 'fine') throw new ApiError(emailErrors.refused)
    if ((await emails.find(email)) !== undefined) throw new ApiError(emailErrors.taken)
    if (code !== undefined && !(await codes.check('activation', keyOfEmail(email), code))) {
      throw new ApiError(activationErrors.invalidCode)
    }
    return email
  }

  /**
   * Password, then user, then the claim of the address: whatever a crash leaves behind, nobody can
   * log in with it, and the address stays free for another attempt.
   */
  async function createAccount(
    { body, request }: Registration,
    email: Email | undefined,
  ): Promise<User> {
    const id = ids.uuid() as UserId
    if (body.password !== undefined) {
      await credentials.setFirst(id, body.password, request.address)
    }
    const nowMs = clock.nowMs()
    const staySeconds = body.expires_in ?? config.sessions.sessionCookieSeconds
    const expiresMs = email === undefined ? nowMs + staySeconds * 1000 : undefined
    if (expiresMs !== undefined) await deletion.scheduleEnd(id, expiresMs)
    const user: User = {
      id,
      name: body.name,
      accentId: body.accent_id ?? 0,
      assets: body.assets ?? [],
      picture: body.picture ?? [],
      locale: body.locale ?? config.registration.defaultLocale,
      emailUnvalidated: email,
      status: email === undefined ? 'ephemeral' : 'active',
      isActivated: email === undefined,
      managedBy: 'wire',
      supportedProtocols: body.supported_protocols ?? ['proteus'],
      type: 'regular',
      isSearchable: true,
      expiresMs,
      createdMs: nowMs,
      changedMs: nowMs,
    }
    await users.create(user)
    return user
  }

  /** Gives the new account the address whose code was right. */
  async function verify(user: User, email: Email): Promise<User> {
    const verified = await emails.verify(user, email, { isNewAccount: true })
    if (typeof verified !== 'string') {
      await codes.remove('activation', keyOfEmail(email))
      return verified
    }
    // Somebody else registered with the address at the same moment.
    await deletion.deleteUser(user)
    throw new ApiError(emailErrors.taken)
  }

  async function register({ body, request }: Registration): Promise<{
    status: 201
    headers: ReplyHeaders
    body: SelfUser
  }> {
    if (body.team_code !== undefined || body.invitation_code !== undefined) {
      throw new ApiError(accountErrors.invalidInvitation)
    }
    if (body.team !== undefined) throw new ApiError(accountErrors.registrationRestricted)
    const isGuest = body.email === undefined
    if (isGuest && !config.registration.takesGuests) {
      throw new ApiError(accountErrors.guestsRefused)
    }
    const email =
      body.email === undefined ? undefined : await admitEmail(body.email, body.email_code)

    let user = await createAccount({ body, request }, email)
    if (email !== undefined && body.email_code !== undefined) user = await verify(user, email)
    else if (email !== undefined) {
      const secret = await issueActivationCode({ codes, ids, config }, email, user.id)
      mails.queueActivation({ email, locale: user.locale }, secret)
    }
    const session = await sessions.start({
      user: user.id,
      type: isGuest ? 'session' : 'persistent',
      label: body.label,
    })
    return {
      status: 201,
      headers: {
        location: user.id,
        ...(session.kind === 'started' && { 'set-cookie': session.setCookie }),
      },
      body: selfUserOf(user, domain),
    }
  }

  return {
    registerV11: register,
    registerV14: register,
    register,

    async deleteSelf({ caller, body }) {
      const user = await requireSelf(users, caller.user)
      if (body.password !== undefined) {
        const verdict = await credentials.check(user.id, body.password)
        if (verdict !== 'right') throw new ApiError(passwordErrors.isWrong)
        await deletion.deleteUser(user)
        return { status: 200 }
      }
      if (user.email === undefined) {
        // A guest has neither password nor address, and being logged in is all there is to show.
        if (await credentials.has(user.id)) throw new ApiError(clientErrors.missingAuth)
        await deletion.deleteUser(user)
        return { status: 200 }
      }
      const key = keyOfUser(user.id)
      if (await codes.find('deletion', key)) throw new ApiError(accountErrors.pendingDeletion)
      const code = ids.token(deletionCodeBytes)
      const ttlSeconds = config.codes.deletionSeconds
      await codes.issue('deletion', key, { code, ttlSeconds, user: user.id })
      try {
        await mails.sendDeletion({ email: user.email, locale: user.locale }, { key, code })
      } catch (error) {
        // Nobody has the code, so it must not stand in the way of the next attempt.
        await codes.remove('deletion', key)
        throw error
      }
      return { status: 202, body: { expires_in: ttlSeconds } }
    },

    async confirmDeletion({ body }) {
      const key = normalizeKey(body.key)
      const issued = await codes.check('deletion', key, body.code)
      const user = issued?.user && (await users.get(issued.user))
      if (user === undefined) throw new ApiError(accountErrors.invalidDeletionCode)
      if (user.status !== 'deleted') await deletion.deleteUser(user)
      return { status: 200 }
    },
  }
}
