import type { Clock } from '../../platform/clock.ts'
import type { Ids } from '../../platform/ids.ts'
import type { TokenSigner } from '../../platform/zauth/signer.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import { Unavailable } from '../../contract/error.ts'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import type { AccountsConfig } from './config.ts'
import { planCookie } from './rules/cookie-limit.ts'
import { clearZuidCookie, writeZuidCookie } from './rules/zuid-cookie.ts'
import type { Cookie, CookieStore, CookieType } from './store/cookies.ts'

export interface AccessGrant {
  access_token: string
  token_type: 'Bearer'
  expires_in: number
  user: UserId
}

/**
 * Sessions: a cookie that lasts for weeks, and access tokens that last for minutes. A cookie counts
 * while its signature, its time and its row are all good; taking the row away ends the session at
 * the next renewal of the access token.
 */
export interface Sessions {
  start(session: {
    user: UserId
    type: CookieType
    label?: string | undefined
  }): Promise<
    | { kind: 'started'; grant: AccessGrant; setCookie: string; endedByLabel: number }
    | { kind: 'throttled'; retryAfterSeconds: number }
  >
  /** The first of these cookies that counts; undefined when none does. */
  find(cookieTexts: readonly string[]): Promise<Cookie | undefined>
  /**
   * An access token for the session, and a new cookie when this one is due for replacement or now
   * bound to a device. `refused`: it is bound to another device, or has just been ended.
   */
  renew(
    cookie: Cookie,
    wanted: { client?: ClientId | undefined; connection?: ConnectionId | undefined },
  ): Promise<{ grant: AccessGrant; setCookie?: string } | 'refused'>
  /** Ends the session with all cookies that it went through. */
  end(cookie: Cookie): Promise<void>
  list(user: UserId): Promise<Cookie[]>
  revoke(user: UserId, which: (cookie: Cookie) => boolean): Promise<void>
  /** A `Set-Cookie` that takes the cookie from the browser. */
  readonly clearCookie: string
}

const maxAttempts = 10
/** Cookies of one session that replaced one another within the time that the first still works. */
const maxSuccessors = 100

export function createSessions(deps: {
  cookies: CookieStore
  signer: TokenSigner
  tokens: TokenVerifier
  config: Pick<AccountsConfig, 'sessions'>
  clock: Pick<Clock, 'nowMs'>
  ids: Pick<Ids, 'uint32' | 'uint64'>
}): Sessions {
  const { cookies, signer, tokens, clock, ids } = deps
  const config = deps.config.sessions

  function grant(user: UserId, client?: ClientId, connection?: ConnectionId): AccessGrant {
    const access_token = signer.sign({
      type: 'access',
      user,
      ...(client !== undefined && { client }),
      connection: connection ?? (ids.uint64().toString() as ConnectionId),
      expiresAtSeconds: Math.floor(clock.nowMs() / 1000) + config.accessTokenSeconds,
      isSession: false,
    })
    return { access_token, token_type: 'Bearer', expires_in: config.accessTokenSeconds, user }
  }

  /** Signatures are deterministic, so this is always the same text for the same cookie and key. */
  function setCookie({ user, id, type, client, tokenExpiresMs }: Cookie): string {
    const token = signer.sign({
      type: 'user',
      user,
      ...(client !== undefined && { client }),
      random: id,
      expiresAtSeconds: tokenExpiresMs / 1000,
      isSession: type === 'session',
    })
    return writeZuidCookie(token, type === 'persistent' ? tokenExpiresMs : undefined, config)
  }

  async function create(
    facts: Pick<Cookie, 'user' | 'type' | 'label' | 'client'>,
  ): Promise<Cookie> {
    const lifeSeconds =
      facts.type === 'persistent' ? config.persistentCookieSeconds : config.sessionCookieSeconds
    const createdMs = clock.nowMs()
    const expiresMs = (Math.floor(createdMs / 1000) + lifeSeconds) * 1000
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const id = ids.uint32()
      const cookie = { ...facts, id, createdMs, expiresMs, tokenExpiresMs: expiresMs }
      if (await cookies.create(cookie)) return cookie
    }
    throw new Unavailable('finding a free cookie id')
  }

  const isAlive = (cookie: Cookie): boolean => cookie.expiresMs > clock.nowMs()

  /** The cookie that took this one's place in the end. */
  async function followSuccessors(cookie: Cookie): Promise<Cookie> {
    let last = cookie
    for (let i = 0; i < maxSuccessors && last.successor !== undefined; i += 1) {
      const next = await cookies.get(last.user, last.successor)
      if (next === undefined || !isAlive(next)) break
      last = next
    }
    return last
  }

  const isDue = ({ type, createdMs }: Cookie): boolean =>
    type === 'persistent' && clock.nowMs() - createdMs > config.renewAfterSeconds * 1000

  return {
    clearCookie: clearZuidCookie(config),

    async start({ user, type, label }) {
      const existing = await cookies.list(user)
      const alive = existing.filter(isAlive)
      const endedByLabel = alive.filter((cookie) => label !== undefined && cookie.label === label)
      const counted = alive.filter(
        (cookie) => cookie.type === type && !endedByLabel.includes(cookie),
      )
      const plan = planCookie(counted, config, clock.nowMs())
      if (plan.kind === 'throttled') return plan

      const cookie = await create({ user, type, label })
      // After the new one is there: a crash in between leaves one too many, not one too few.
      const expired = existing.filter((other) => !isAlive(other))
      const ended = [...expired, ...endedByLabel].map(({ id }) => id)
      await cookies.remove(user, [...ended, ...plan.evicted])
      return {
        kind: 'started',
        grant: grant(user),
        setCookie: setCookie(cookie),
        endedByLabel: endedByLabel.length,
      }
    },

    async find(cookieTexts) {
      for (const text of cookieTexts) {
        const verdict = tokens.verify(text, ['user'])
        if (!verdict.ok) continue
        const cookie = await cookies.get(verdict.token.user, verdict.token.random)
        if (cookie !== undefined && isAlive(cookie)) return cookie
      }
      return undefined
    },

    async renew(presented, { client, connection }) {
      let cookie = presented
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const current = await followSuccessors(cookie)
        const bound = current.client ?? client
        if (client !== undefined && bound !== client) return 'refused'
        const access = grant(cookie.user, bound, connection)

        if (current.client === bound && !isDue(current)) {
          const isReplaced = current.id !== cookie.id
          return { grant: access, ...(isReplaced && { setCookie: setCookie(current) }) }
        }
        const { user, type, label } = current
        const next = await create({ user, type, label, client: bound })
        const worksUntilMs = clock.nowMs() + config.renewAfterSeconds * 1000
        const isDone = await cookies.supersede(current, {
          successor: next.id,
          expiresMs: Math.min(current.expiresMs, worksUntilMs),
        })
        if (isDone) return { grant: access, setCookie: setCookie(next) }
        // Another request was faster; its successor is ours too.
        await cookies.remove(user, [next.id])
        const latest = await cookies.get(user, cookie.id)
        if (latest === undefined) return 'refused'
        cookie = latest
      }
      throw new Unavailable('renewing a session that others keep renewing')
    },

    async end(cookie) {
      const all = await cookies.list(cookie.user)
      const chain = new Set([cookie.id])
      for (let size = 0; size < chain.size;) {
        size = chain.size
        for (const { id, successor } of all) {
          if (successor === undefined) continue
          if (chain.has(id)) chain.add(successor)
          if (chain.has(successor)) chain.add(id)
        }
      }
      await cookies.remove(cookie.user, [...chain])
    },

    list: async (user) => (await cookies.list(user)).filter(isAlive),

    async revoke(user, which) {
      const revoked = (await cookies.list(user)).filter(which)
      await cookies.remove(
        user,
        revoked.map(({ id }) => id),
      )
    },
  }
}
