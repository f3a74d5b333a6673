import { createHash, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  issueWireCredential,
  longTermKey,
  parseUsername,
  restPassword,
  wirePassword,
  wireUserName,
} from './credentials.ts'

const secret = Buffer.from('test-secret-do-not-use')

describe('the credentials of Wire', () => {
  const username = 'd=1767225600.v=1.k=0.t=s.r=abcdefghijklmnop'

  it('have the password and the key of the published example', () => {
    const password = wirePassword(secret, username)
    expect(password).toBe(
      '1J5V3kodXZzThNm1f9ePSpM8b6becutKpIq9vNHDDyRiKrR4pG0BheSvYdvnu2GfTWx4iUQXr+Lf7qJtYl2TZA==',
    )
    expect(password).toHaveLength(88)
    expect(Buffer.from(longTermKey(username, 'dummy.io', password)).toString('hex')).toBe(
      'ffaf975638252e5066deec1e5fa8bb75',
    )
    expect(wirePassword(createSecretKey(secret), username)).toBe(password)
  })

  it('name a user by letters that tell nothing and stay the same', () => {
    expect(wireUserName('00000000-0000-4000-8000-000000000001')).toBe('ovsiylvaujchdoysewrackcynzi')
    expect(() => wireUserName('alice')).toThrow(RangeError)
  })

  it('write 128 bits of a hash in letters, with the first byte as the lowest', () => {
    fc.assert(
      fc.property(fc.uuid(), (user) => {
        const id = Buffer.from(user.replaceAll('-', ''), 'hex')
        const hash = createHash('sha256').update(id).digest()
        let value = 0n
        for (let at = 15; at >= 0; at -= 1) value = value * 256n + BigInt(hash[at] ?? 0)
        const letters = [...wireUserName(user)].map((letter) => letter.charCodeAt(0) - 0x61)
        expect(letters.reduce((sum, digit) => sum * 26n + BigInt(digit), 0n)).toBe(value)
      }),
    )
  })

  it('are read as they were issued', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.integer({ min: 0, max: 9_999_999_999 }), (user, expires) => {
        const issued = issueWireCredential(user, secret, expires)
        expect(issued.password).toBe(wirePassword(secret, issued.username))
        expect(parseUsername(issued.username)).toEqual({
          kind: 'wire',
          expiresUnixSeconds: expires,
          quotaKey: `wire:${wireUserName(user)}`,
          isFederated: false,
        })
      }),
    )
  })

  it('of the tunnel between two sites are told apart', () => {
    expect(parseUsername(`sft-${username}`)).toMatchObject({ kind: 'wire', isFederated: true })
  })

  it.each([
    'd=1767225600.v=2.k=0.t=s.r=a',
    'd=17672256000.v=1.k=0.t=s.r=a',
    'd=.v=1.k=0.t=s.r=a',
    'd=1767225600.v=1.k=0.t=s.r=a b',
    'xd=1767225600.v=1.k=0.t=s.r=a',
    'd=1767225600.v=1.k=0.t=s.r=a\n',
    'constructor',
    '__proto__',
    '',
  ])('are no names such as %j', (name) => {
    expect(parseUsername(name)).toEqual({ kind: 'other' })
  })
})

it('names with an expiry and a colon are those of other software', () => {
  expect(parseUsername('1767225600:alice')).toEqual({
    kind: 'rest',
    expiresUnixSeconds: 1_767_225_600,
    quotaKey: 'rest:alice',
  })
  expect(parseUsername('1767225600')).toMatchObject({ kind: 'rest', quotaKey: 'rest:' })
  // From `printf %s 1767225600:alice | openssl dgst -sha1 -hmac test-secret-do-not-use -binary | base64`.
  expect(restPassword(secret, '1767225600:alice')).toBe('63KzmPO93uLfU8Esq2XEVW0CRdw=')
})
