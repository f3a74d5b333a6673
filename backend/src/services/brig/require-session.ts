import { sessionErrors } from '../../contract/brig/session.ts'
import { ApiError } from '../../contract/error.ts'
import type { ConnectionId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import { readBearer, readZuidCookies } from './rules/zuid-cookie.ts'
import type { Sessions } from './sessions.ts'
import type { Cookie } from './store/cookies.ts'
import type { User, UserStore } from './store/users.ts'

export interface SessionDeps {
  sessions: Sessions
  tokens: TokenVerifier
  users: Pick<UserStore, 'get'>
  clock: Pick<Clock, 'nowMs'>
}

export interface SessionInput {
  readonly headers: { cookie?: string | undefined; authorization?: string | undefined }
  readonly query: { access_token?: string | undefined }
}

/**
 * The session of a call under `/access`: a cookie that counts, of a user who may use it, and an
 * access token of the same user, which may have expired, if there is one.
 */
export async function requireSession(
  deps: SessionDeps,
  { headers, query }: SessionInput,
): Promise<{ cookie: Cookie; user: User; connection: ConnectionId | undefined }> {
  const { sessions, tokens, users, clock } = deps
  const cookieTexts = readZuidCookies(headers.cookie)
  const tokenText = readBearer(headers.authorization) ?? query.access_token
  if (cookieTexts.length === 0) {
    const isBothMissing = tokenText === undefined
    throw new ApiError(
      isBothMissing ? sessionErrors.missingCookieAndToken : sessionErrors.missingCookie,
    )
  }
  const cookie = await sessions.find(cookieTexts)
  if (cookie === undefined) throw new ApiError(sessionErrors.invalidToken)
  const user = await users.get(cookie.user)
  if (user === undefined || !canHaveSession(user, clock.nowMs())) {
    throw new ApiError(sessionErrors.invalidToken)
  }
  if (tokenText === undefined) return { cookie, user, connection: undefined }

  const verdict = tokens.verify(tokenText, ['access'])
  const token = verdict.ok || verdict.reason === 'expired' ? verdict.token : undefined
  if (token?.user !== cookie.user) throw new ApiError(sessionErrors.invalidToken)
  return { cookie, user, connection: token.connection }
}

function canHaveSession(user: User, nowMs: number): boolean {
  if (user.status === 'ephemeral') return user.expiresMs === undefined || user.expiresMs > nowMs
  return user.status === 'active'
}
