import pino from 'pino'
import { describe, expect, it } from 'vitest'
import type { Email, Locale } from '../../../contract/brig/user-fields.ts'
import { Unavailable } from '../../../contract/error.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { Mail } from '../../../ports/mail.ts'
import { AccountsConfig } from '../config.ts'
import { createMails } from './mails.ts'

const to = { email: 'alice@example.com' as Email, locale: 'de-AT' as Locale }
const secret = { key: 'a+b/c', code: '123456' }

function setup(config: object = {}, failures = 0) {
  const clock = fakeClock()
  const sent: Mail[] = []
  let attempts = 0
  const mails = createMails({
    sender: {
      async send(mail) {
        attempts += 1
        if (attempts <= failures) throw new Error('the relay says no')
        sent.push(mail)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    config: AccountsConfig.parse({ mails: config }),
    log: pino({ level: 'silent' }),
    clock,
  })
  return { clock, sent, mails, attempts: () => attempts }
}

describe('a mail', () => {
  it('carries code and key in text, in HTML and in the headers of Wire', async () => {
    const { mails, sent } = setup({ brand: 'Acme' })
    await mails.sendActivation(to, secret)
    expect(sent[0]).toMatchObject({
      to: 'alice@example.com',
      subject: '123456 is your Acme verification code',
      headers: { 'X-Zeta-Purpose': 'Activation', 'X-Zeta-Key': 'a+b/c', 'X-Zeta-Code': '123456' },
    })
    for (const part of [sent[0]?.text, sent[0]?.html]) {
      expect(part).toContain('123456')
      expect(part).toContain('a+b/c')
    }
  })

  it('carries a link instead when the operator has one', async () => {
    const activationLink = 'https://account.example.com/verify/?key=${key}&code=${code}'
    const { mails, sent } = setup({ activationLink })
    await mails.sendEmailChange(to, { key: 'a+b/c', code: '$&' })
    const url = 'https://account.example.com/verify/?key=a%2Bb%2Fc&code=%24%26'
    expect(sent[0]?.text).toContain(url)
    expect(sent[0]?.html).toContain(`<a href="${url.replaceAll('&', '&amp;')}">`)
  })

  it('shows names from users as text, not as HTML', async () => {
    const { mails, sent } = setup()
    const name = '<script>alert("1")</script>'
    mails.queueNewDevice(to, { name, device: 'Pixel & Co', createdMs: 0 })
    await mails[Symbol.asyncDispose]()
    expect(sent[0]?.html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;')
    expect(sent[0]?.html).toContain('Pixel &amp; Co, 1 January 1970 at 00:00 UTC')
    expect(sent[0]?.text).toContain(name)
    expect(sent[0]?.headers).toEqual({ 'X-Zeta-Purpose': 'NewDevice' })
  })

  it('that somebody waits for fails at once, as a dependency that is down', async () => {
    const { mails, attempts } = setup({}, 1)
    await expect(mails.sendDeletion(to, secret)).rejects.toBeInstanceOf(Unavailable)
    expect(attempts()).toBe(1)
  })

  it('that nobody waits for is tried again, a few times', async () => {
    const { mails, sent, clock } = setup({}, 2)
    mails.queuePasswordReset(to, secret)
    await clock.advance(2_000)
    await clock.advance(10_000)
    await mails[Symbol.asyncDispose]()
    expect(sent[0]?.headers?.['X-Zeta-Purpose']).toBe('PasswordReset')

    const broken = setup({}, 100)
    broken.mails.queueActivation(to, secret)
    await broken.clock.advance(1_000_000)
    await broken.mails[Symbol.asyncDispose]()
    expect(broken.attempts()).toBe(4)
  })

  it('does not hold up the stop of the service', async () => {
    const { mails, sent, clock } = setup({}, 1)
    mails.queueActivation(to, secret)
    await clock.advance(0)
    await mails[Symbol.asyncDispose]()
    expect(sent).toEqual([])
  })
})
