import { setTimeout as sleep } from 'node:timers/promises'

/** A mail as the server's development mailbox shows it. */
export interface Mail {
  readonly id: string
  readonly to: string
  readonly from: string
  readonly subject: string
  readonly text: string
  readonly html?: string
  readonly headers: Readonly<Record<string, string>>
  readonly received: string
}

export interface Mailbox {
  /** All mails to an address, oldest first. */
  mailsTo(address: string): Promise<Mail[]>
  /** The newest matching mail to an address, waiting up to `timeoutMs` for it. */
  waitForMail(address: string, matches?: (mail: Mail) => boolean, timeoutMs?: number): Promise<Mail>
  /** The newest code that was mailed to activate an address, with the key it belongs to. */
  activationFor(address: string, timeoutMs?: number): Promise<Secret>
  /** The newest code that was mailed for a purpose. */
  secretFor(address: string, purpose: SecretPurpose, timeoutMs?: number): Promise<Secret>
}

export type SecretPurpose = 'Activation' | 'PasswordReset' | 'Delete'

export interface Secret {
  readonly key: string
  readonly code: string
}

const DEFAULT_TIMEOUT_MS = 20_000
const POLL_MS = 20

export function mailHeader(mail: Mail, name: string): string | undefined {
  const wanted = name.toLowerCase()
  return Object.entries(mail.headers).find(([key]) => key.toLowerCase() === wanted)?.[1]
}

/** Reads the mailbox at `mailboxUrl`: `GET {mailboxUrl}/mails?to=<address>`. */
export function mailbox(mailboxUrl: string): Mailbox {
  const base = mailboxUrl.replace(/\/+$/, '')

  const box: Mailbox = {
    async mailsTo(address) {
      const reply = await fetch(`${base}/mails?to=${encodeURIComponent(address)}`)
      if (!reply.ok) throw new Error(`The mailbox answered ${reply.status}: ${await reply.text()}`)
      const { mails } = (await reply.json()) as { mails: Mail[] }
      return mails
    },

    async waitForMail(address, matches = () => true, timeoutMs = DEFAULT_TIMEOUT_MS) {
      const deadline = performance.now() + timeoutMs
      for (;;) {
        const mails = await box.mailsTo(address)
        const found = mails.findLast(matches)
        if (found) return found
        if (performance.now() > deadline) {
          const subjects = JSON.stringify(mails.map((mail) => mail.subject))
          throw new Error(`No such mail to ${address} within ${timeoutMs} ms, only ${subjects}`)
        }
        await sleep(POLL_MS)
      }
    },

    activationFor: (address, timeoutMs) => box.secretFor(address, 'Activation', timeoutMs),

    async secretFor(address, purpose, timeoutMs) {
      const isIt = (mail: Mail): boolean => mailHeader(mail, 'X-Zeta-Purpose') === purpose
      const mail = await box.waitForMail(address, isIt, timeoutMs)
      const code = mailHeader(mail, 'X-Zeta-Code')
      const key = mailHeader(mail, 'X-Zeta-Key')
      if (!code || !key) throw new Error(`The mail to ${address} carries no code`)
      return { key, code }
    },
  }
  return box
}
