import type { Logger } from 'pino'
import type { Email, Locale } from '../../../contract/brig/user-fields.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Mail, MailSender } from '../../../ports/mail.ts'
import type { AccountsConfig } from '../config.ts'
import { layOut } from './layout.ts'
import type { MailPayload } from './layout.ts'
import { mailTexts } from './texts.ts'
import type { MailText } from './texts.ts'

export interface Addressee {
  email: Email
  locale: Locale
}
export interface Secret {
  key: string
  code: string
}

/** Mails of accounts, with the headers by which Wire's test clients find key and code. */
export interface Mails extends AsyncDisposable {
  /** These resolve once the mail is on its way, and reject with `Unavailable` when it is not. */
  sendActivation(to: Addressee, secret: Secret): Promise<void>
  sendEmailChange(to: Addressee, secret: Secret): Promise<void>
  sendDeletion(to: Addressee, secret: Secret): Promise<void>
  /** These go out behind the caller's back, with some attempts; what fails is logged. */
  queueActivation(to: Addressee, secret: Secret): void
  queuePasswordReset(to: Addressee, secret: Secret): void
  queueNewDevice(to: Addressee, facts: { name: string; device: string; createdMs: number }): void
}

const retryDelaysMs = [2_000, 10_000, 60_000]

export function createMails(deps: {
  sender: MailSender
  config: Pick<AccountsConfig, 'mails' | 'codes'>
  log: Logger
  clock: Clock
}): Mails {
  const { sender, config, log, clock } = deps
  const { brand, activationLink, passwordResetLink, deletionLink } = config.mails
  const stopping = new AbortController()
  const queued = new Set<Promise<void>>()

  async function send(mail: Mail): Promise<void> {
    try {
      await sender.send(mail)
    } catch (cause) {
      throw new Unavailable('sending a mail', { cause })
    }
  }

  async function sendWithRetries(mail: Mail): Promise<void> {
    for (const delayMs of retryDelaysMs) {
      try {
        return await send(mail)
      } catch (err) {
        log.warn({ err, purpose: mail.headers?.['X-Zeta-Purpose'] }, 'mail failed, trying again')
      }
      await clock.sleep(delayMs, stopping.signal)
    }
    await send(mail)
  }

  function queue(mail: Mail): void {
    const sending = sendWithRetries(mail)
      .catch((err: unknown) => {
        log.error({ err, purpose: mail.headers?.['X-Zeta-Purpose'] }, 'mail not sent')
      })
      .finally(() => queued.delete(sending))
    queued.add(sending)
  }

  function compose(
    { email, locale }: Addressee,
    purpose: string,
    text: MailText,
    secret?: Secret & { link: string | undefined },
  ): Mail {
    const { subject } = text
    const headers = {
      'X-Zeta-Purpose': purpose,
      ...(secret && { 'X-Zeta-Key': secret.key, 'X-Zeta-Code': secret.code }),
    }
    return { to: email, subject, ...layOut(text, payloadOf(locale, secret)), headers }
  }

  const activation = (to: Addressee, secret: Secret): Mail =>
    compose(to, 'Activation', mailTexts(to.locale).activation({ brand, code: secret.code }), {
      ...secret,
      link: activationLink,
    })

  return {
    sendActivation: (to, secret) => send(activation(to, secret)),
    sendEmailChange: (to, secret) =>
      send(
        compose(to, 'Activation', mailTexts(to.locale).emailChange({ brand }), {
          ...secret,
          link: activationLink,
        }),
      ),
    sendDeletion: (to, secret) => {
      const minutes = Math.round(config.codes.deletionSeconds / 60)
      const text = mailTexts(to.locale).deletion({ brand, minutes })
      return send(compose(to, 'Delete', text, { ...secret, link: deletionLink }))
    },
    queueActivation: (to, secret) => queue(activation(to, secret)),
    queuePasswordReset: (to, secret) => {
      const text = mailTexts(to.locale).passwordReset({ brand })
      queue(compose(to, 'PasswordReset', text, { ...secret, link: passwordResetLink }))
    },
    queueNewDevice: (to, { name, device, createdMs }) => {
      const facts = { brand, name, device, time: new Date(createdMs) }
      queue(compose(to, 'NewDevice', mailTexts(to.locale).newDevice(facts)))
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new Unavailable('stopping'))
      await Promise.all(queued)
    },
  }
}

function payloadOf(
  locale: Locale,
  secret: (Secret & { link: string | undefined }) | undefined,
): MailPayload {
  if (secret === undefined) return { kind: 'none' }
  const { key, code, link } = secret
  const { keyName, codeName } = mailTexts(locale)
  // People type the six digits; the key is only for whoever has no link.
  const fields = [
    [codeName, code],
    [keyName, key],
  ] as const
  if (link === undefined) return { kind: 'codes', fields }
  const url = link
    .replaceAll('${key}', () => encodeURIComponent(key))
    .replaceAll('${code}', () => encodeURIComponent(code))
  return { kind: 'link', url }
}
