/** The session cookie. Only paths under `/access` get it from browsers. */
const name = 'zuid'

/** The values of all cookies of that name, in the order sent; browsers may hold several. */
export function readZuidCookies(header: string | undefined): string[] {
  if (header === undefined) return []
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1'))
    .filter((value) => value !== '')
}

export interface ZuidCookieOptions {
  cookieDomain?: string | undefined
  isCookieSecure: boolean
}

/** A `Set-Cookie`. Without `expiresMs` the browser forgets it when it is closed. */
export function writeZuidCookie(
  value: string,
  expiresMs: number | undefined,
  options: ZuidCookieOptions,
): string {
  return [
    `${name}=${value}`,
    'Path=/access',
    ...(expiresMs === undefined ? [] : [`Expires=${new Date(expiresMs).toUTCString()}`]),
    ...(options.cookieDomain === undefined ? [] : [`Domain=${options.cookieDomain}`]),
    'HttpOnly',
    ...(options.isCookieSecure ? ['Secure'] : []),
  ].join('; ')
}

/** A `Set-Cookie` that takes the cookie away. */
export const clearZuidCookie = (options: ZuidCookieOptions): string =>
  writeZuidCookie('', 0, options)

/** The token of an `Authorization: Bearer` header. */
export function readBearer(header: string | undefined): string | undefined {
  const token = header === undefined ? undefined : /^bearer +(\S+) *$/i.exec(header)?.[1]
  return token
}
