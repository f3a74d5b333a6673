import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emailDomain, emailKey, parseEmail } from './email-address.ts'

describe('an e-mail address', () => {
  it.each([
    'alice@example.com',
    'Alice.Smith+wire@Mail.Example.com',
    "o'neill@example.co",
    'ålice@example.com',
    'a@localhost',
    `${'a'.repeat(64)}@example.com`,
  ])('%s is one', (text) => {
    expect(parseEmail(text)).toBe(text)
  })

  it.each([
    '',
    '@',
    'alice',
    'alice@',
    '@example.com',
    'a b@example.com',
    'alice@exa mple.com',
    'alice@-example.com',
    'alice@example..com',
    '.alice@example.com',
    'al..ice@example.com',
    'alice@bob@example.com',
    'alice@example.com\r\nBcc: x@example.com',
    '"alice"@example.com',
    '<alice@example.com>',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b.'.repeat(130)}com`,
  ])('%j is none', (text) => {
    expect(parseEmail(text)).toBeUndefined()
  })

  it('loses the space that people paste around it, and nothing else', () => {
    expect(parseEmail(' Alice@Example.com\n')).toBe('Alice@Example.com')
  })

  it('is the same in another case', () => {
    const [one, other] = [parseEmail('Alice@Example.com'), parseEmail('alice@example.COM')]
    expect(one && emailKey(one)).toBe(other && emailKey(other))
    expect(one && emailDomain(one)).toBe('example.com')
  })

  it('never breaks a mail header, whatever was typed', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.emailAddress(), fc.string({ unit: 'binary' })),
        (text) => {
          const email = parseEmail(text)
          if (email === undefined) return
          expect(email).toMatch(/^[^\s\p{Cc},<>;]+@[A-Za-z0-9.-]+$/u)
          expect(parseEmail(email)).toBe(email)
        },
      ),
    )
  })
})
