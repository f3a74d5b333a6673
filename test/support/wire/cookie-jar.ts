/** One cookie as a server set it. */
export interface StoredCookie {
  readonly name: string
  readonly value: string
  readonly path: string
  readonly domain?: string
  /** Unix milliseconds; absent for a session cookie. */
  readonly expiresAtMs?: number
  readonly httpOnly: boolean
  readonly secure: boolean
  readonly sameSite?: string
}

export interface CookieJar {
  readonly cookies: readonly StoredCookie[]
  get(name: string): StoredCookie | undefined
  /** Takes what a reply set; a cookie that is expired or empty removes the one stored. */
  store(headers: Headers): readonly StoredCookie[]
  put(cookie: StoredCookie): void
  /** The `Cookie` header for a path, if any cookie matches. */
  headerFor(path: string): string | undefined
  clear(): void
}

/** Parses one `Set-Cookie` value (RFC 6265 §5.2). */
export function parseSetCookie(text: string): StoredCookie {
  const [pair = '', ...attributes] = text.split(';').map((part) => part.trim())
  const split = pair.indexOf('=')
  if (split < 1) throw new Error(`A cookie without a name: ${text}`)
  const given = new Map(
    attributes.map((attribute) => {
      const at = attribute.indexOf('=')
      const key = at < 0 ? attribute : attribute.slice(0, at)
      return [key.toLowerCase(), at < 0 ? '' : attribute.slice(at + 1)]
    }),
  )
  const maxAge = given.get('max-age')
  const expires = given.get('expires')
  const expiresAtMs =
    maxAge !== undefined
      ? Date.now() + Number(maxAge) * 1_000
      : expires !== undefined
        ? Date.parse(expires)
        : undefined
  const domain = given.get('domain')
  const sameSite = given.get('samesite')
  return {
    name: pair.slice(0, split),
    value: pair.slice(split + 1),
    path: given.get('path') ?? '/',
    httpOnly: given.has('httponly'),
    secure: given.has('secure'),
    ...(domain !== undefined && { domain }),
    ...(sameSite !== undefined && { sameSite }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  }
}

// `Secure` is kept but not obeyed: the tests talk to a server on plain loopback.
export function cookieJar(): CookieJar {
  const stored = new Map<string, StoredCookie>()
  const jar: CookieJar = {
    get cookies() {
      return [...stored.values()]
    },

    get: (name) => stored.get(name),

    store(headers) {
      const cookies = headers.getSetCookie().map(parseSetCookie)
      for (const cookie of cookies) jar.put(cookie)
      return cookies
    },

    put(cookie) {
      const { name, value, expiresAtMs = Infinity } = cookie
      if (value === '' || expiresAtMs <= Date.now()) stored.delete(name)
      else stored.set(name, cookie)
    },

    headerFor(path) {
      const matching = jar.cookies.filter(
        (cookie) => path === cookie.path || path.startsWith(`${cookie.path.replace(/\/$/, '')}/`),
      )
      if (matching.length === 0) return undefined
      return matching.map(({ name, value }) => `${name}=${value}`).join('; ')
    },

    clear: () => stored.clear(),
  }
  return jar
}
