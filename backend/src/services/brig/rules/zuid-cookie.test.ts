import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clearZuidCookie, readBearer, readZuidCookies, writeZuidCookie } from './zuid-cookie.ts'

describe('the session cookie', () => {
  it('is found among others, as often as it was sent', () => {
    expect(readZuidCookies('a=1; zuid=one==.v=1;zuid="two"; xzuid=3; zuid=')).toEqual([
      'one==.v=1',
      'two',
    ])
    expect(readZuidCookies(undefined)).toEqual([])
  })

  it('is written for the paths under /access, out of reach of scripts', () => {
    expect(writeZuidCookie('token', 0, { isCookieSecure: true })).toBe(
      'zuid=token; Path=/access; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure',
    )
    expect(
      writeZuidCookie('token', undefined, { isCookieSecure: false, cookieDomain: 'example.com' }),
    ).toBe('zuid=token; Path=/access; Domain=example.com; HttpOnly')
    expect(clearZuidCookie({ isCookieSecure: true })).toContain('zuid=; Path=/access; Expires=Thu')
  })

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\w.=-]+$/), (value) => {
        const sent = writeZuidCookie(value, 1, { isCookieSecure: true }).split('; ')[0]
        expect(readZuidCookies(`other=1; ${sent ?? ''}`)).toEqual([value])
      }),
    )
  })

  it('is read from any header without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => Array.isArray(readZuidCookies(text))))
  })
})

describe('a bearer token', () => {
  it('is read in any case of the scheme', () => {
    expect(readBearer('Bearer abc.def')).toBe('abc.def')
    expect(readBearer('bearer abc')).toBe('abc')
    expect(readBearer('Basic abc')).toBeUndefined()
    expect(readBearer('Bearer ')).toBeUndefined()
    expect(readBearer(undefined)).toBeUndefined()
  })
})
