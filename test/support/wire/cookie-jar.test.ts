import { expect, it } from 'vitest'

import { cookieJar, parseSetCookie } from './cookie-jar.ts'

function setting(...cookies: string[]): Headers {
  const headers = new Headers()
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  return headers
}

it('reads every attribute of a cookie', () => {
  const text =
    'zuid=a.b=c==; Path=/access; HttpOnly; Secure; SameSite=Lax; Domain=x.example; ' +
    'Expires=Fri, 01 Jan 2100 00:00:00 GMT'
  expect(parseSetCookie(text)).toEqual({
    name: 'zuid',
    value: 'a.b=c==',
    path: '/access',
    domain: 'x.example',
    sameSite: 'Lax',
    httpOnly: true,
    secure: true,
    expiresAtMs: Date.UTC(2100, 0, 1),
  })
})

it('sends a cookie to its path and below, nowhere else', () => {
  const jar = cookieJar()
  jar.store(setting('zuid=1; Path=/access'))
  expect(jar.headerFor('/access')).toBe('zuid=1')
  expect(jar.headerFor('/access/logout')).toBe('zuid=1')
  expect(jar.headerFor('/accessory')).toBeUndefined()
  expect(jar.headerFor('/self')).toBeUndefined()
})

it('keeps the newest value and drops what the server clears', () => {
  const jar = cookieJar()
  jar.store(setting('zuid=1; Path=/access', 'other=x'))
  jar.store(setting('zuid=2; Path=/access'))
  expect(jar.headerFor('/access')).toBe('zuid=2; other=x')
  jar.store(setting('zuid=; Path=/access; Max-Age=0'))
  jar.store(setting('other=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT'))
  expect(jar.cookies).toEqual([])
})
