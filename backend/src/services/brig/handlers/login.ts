import type { Logger } from 'pino'
import { loginErrors } from '../../../contract/brig/login.ts'
import type { loginApi } from '../../../contract/brig/login.ts'
import { passwordErrors } from '../../../contract/brig/password.ts'
import { sessionErrors } from '../../../contract/brig/session.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { AccountsConfig } from '../config.ts'
import type { Credentials } from '../credentials.ts'
import type { Emails } from '../emails.ts'
import type { UserEvents } from '../events.ts'
import type { People } from '../halves.ts'
import { requireSession } from '../require-session.ts'
import type { SessionDeps } from '../require-session.ts'
import { keyOfEmail } from '../rules/code-key.ts'
import { parseEmail } from '../rules/email-address.ts'
import { parseHandle } from '../rules/handle.ts'
import type { ClaimStore } from '../store/claims.ts'
import type { CodeStore } from '../store/codes.ts'
import type { LoginFailureStore } from '../store/login-failures.ts'
import type { User, UserStore } from '../store/users.ts'

export function loginHandlers(
  deps: SessionDeps & {
    config: AccountsConfig
    users: UserStore
    emails: Emails
    handles: Pick<ClaimStore, 'find'>
    codes: Pick<CodeStore, 'find'>
    credentials: Credentials
    failures: LoginFailureStore
    events: UserEvents
    people: Pick<People, 'hasClient'>
    log: Logger
  },
): Handlers<typeof loginApi> {
  const { config, users, emails, handles, codes, credentials, sessions } = deps
  const { failures, events, people, clock, log } = deps
  const { failedLogins } = config.passwords

  async function findByEmail(text: string): Promise<User | undefined> {
    const email = parseEmail(text)
    if (email === undefined) return undefined
    const user = await emails.find(email)
    if (user !== undefined) return user
    // An account that waits for its first address is known by the code that was mailed there.
    const issued = await codes.find('activation', keyOfEmail(email))
    const waiting = issued?.user && (await users.get(issued.user))
    return waiting?.isActivated === false ? waiting : undefined
  }

  async function findByHandle(text: string): Promise<User | undefined> {
    const handle = parseHandle(text.toLowerCase())
    return handle && handles.find(handle)
  }

  async function refuseAfterFailures(user: UserId): Promise<void> {
    const seen = failedLogins && (await failures.get(user))
    if (failedLogins === undefined || seen === undefined || seen.count < failedLogins.limit) return
    throw new ApiError(loginErrors.tooManyFailures, {
      retryAfterSeconds: (seen.endsMs - clock.nowMs()) / 1000,
    })
  }

  async function suggestRefresh(user: UserId): Promise<void> {
    try {
      const event = { type: 'user.session-refresh-suggested' } as const
      await events.publish([{ recipients: [user], event }])
    } catch (err) {
      // A hint: whoever misses it finds out when the access token runs out.
      if (!(err instanceof Unavailable)) throw err
      log.warn({ user, err }, 'devices were not told of an ended session')
    }
  }

  return {
    async login({ body, query }) {
      const found = await (body.email === undefined
        ? findByHandle(body.handle ?? '')
        : findByEmail(body.email))
      const user = found?.status === 'deleted' ? undefined : found
      if (user !== undefined) await refuseAfterFailures(user.id)

      const name = (body.email ?? body.handle ?? '').trim().toLowerCase()
      if (!(await credentials.checkLogin(user?.id, name, body.password)) || user === undefined) {
        if (user !== undefined && failedLogins !== undefined) {
          await failures.add(user.id, failedLogins.withinSeconds)
        }
        throw new ApiError(passwordErrors.isWrong)
      }
      // Only whoever knows the password learns how the account stands.
      if (user.status === 'suspended') throw new ApiError(loginErrors.suspended)
      if (!user.isActivated || user.status === 'pending-invitation') {
        throw new ApiError(loginErrors.pendingActivation)
      }
      if (user.status !== 'active') throw new ApiError(passwordErrors.isWrong)

      const session = await sessions.start({
        user: user.id,
        type: query.persist ? 'persistent' : 'session',
        label: body.label,
      })
      if (session.kind === 'throttled') {
        const { retryAfterSeconds } = session
        throw new ApiError(loginErrors.tooManySessions, { retryAfterSeconds })
      }
      if (session.endedByLabel > 0) await suggestRefresh(user.id)
      return { status: 200, headers: { 'set-cookie': session.setCookie }, body: session.grant }
    },

    async renewAccess({ headers, query }) {
      const { cookie, user, connection } = await requireSession(deps, { headers, query })
      const client = query.client_id
      if (client !== undefined && !(await people.hasClient(user.id, client))) {
        throw new ApiError(sessionErrors.invalidToken)
      }
      const renewed = await sessions.renew(cookie, { client, connection })
      if (renewed === 'refused') throw new ApiError(sessionErrors.invalidToken)
      const { grant, setCookie } = renewed
      return {
        status: 200,
        ...(setCookie !== undefined && { headers: { 'set-cookie': setCookie } }),
        body: grant,
      }
    },

    async logout({ headers, query }) {
      const { cookie, connection } = await requireSession(deps, { headers, query })
      if (connection === undefined) throw new ApiError(sessionErrors.invalidToken)
      await sessions.end(cookie)
      return { status: 200, headers: { 'set-cookie': sessions.clearCookie } }
    },
  }
}
