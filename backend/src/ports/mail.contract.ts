import { describe, expect, it } from 'vitest'
import type { MailSender } from './mail.ts'

export interface ArrivedMail {
  to: string
  headers: Readonly<Record<string, string>>
  /** With the text somewhere in it. */
  body: string
}

/** A sender, and what its next hop has taken from it so far. */
export interface MailRoute extends AsyncDisposable {
  readonly sender: MailSender
  arrived(): readonly ArrivedMail[]
}

/** What every mail sender does. */
export function mailContract(open: () => Promise<MailRoute>): void {
  describe('a mail sender', () => {
    it('has handed a mail on, with its headers, when it resolves', async () => {
      await using route = await open()
      await route.sender.send({
        to: 'ann@example.org',
        subject: 'Your code',
        text: 'The code is 123456',
        html: '<p>The code is <b>123456</b></p>',
        headers: { 'X-Zeta-Code': '123456' },
      })
      expect(route.arrived()).toHaveLength(1)
      const [mail] = route.arrived()
      expect(mail?.to).toBe('ann@example.org')
      expect(mail?.headers).toMatchObject({ 'X-Zeta-Code': '123456' })
      expect(mail?.body).toContain('The code is 123456')
    })

    it('hands on many at once, each to its own address', async () => {
      await using route = await open()
      const addresses = Array.from({ length: 20 }, (_, index) => `user${index}@example.org`)
      await Promise.all(
        addresses.map((to) => route.sender.send({ to, subject: 'Hello', text: `for ${to}` })),
      )
      const arrived = route.arrived()
      expect(arrived.map(({ to }) => to).toSorted()).toEqual(addresses.toSorted())
      for (const { to, body } of arrived) expect(body).toContain(`for ${to}`)
    })
  })
}
