import { readFile } from 'node:fs/promises'
import { createTransport } from 'nodemailer'
import { Unavailable } from '../../contract/error.ts'
import type { MailSender } from '../../ports/mail.ts'

export interface SmtpOptions {
  readonly host: string
  readonly port: number
  /** `starttls` insists on TLS after connecting, `tls` connects with it, `none` sends in clear. */
  readonly security: 'starttls' | 'tls' | 'none'
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
  /** `Name <address>` or an address. */
  readonly from: string
}

/** Sends through an SMTP server, over a few connections that are kept open. */
export async function openSmtp(options: SmtpOptions): Promise<MailSender> {
  const password =
    options.passwordFile === undefined
      ? undefined
      : (await readFile(options.passwordFile, 'utf8')).trim()
  const transport = createTransport({
    pool: true,
    maxConnections: 4,
    host: options.host,
    port: options.port,
    secure: options.security === 'tls',
    requireTLS: options.security === 'starttls',
    ignoreTLS: options.security === 'none',
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    socketTimeout: 15_000,
    ...(options.user === undefined ? {} : { auth: { user: options.user, pass: password ?? '' } }),
  })
  return {
    async send({ to, subject, text, html, headers }) {
      try {
        await transport.sendMail({
          from: options.from,
          to,
          subject,
          text,
          ...(html === undefined ? {} : { html }),
          headers: { ...headers, 'Auto-Submitted': 'auto-generated' },
          // Content comes from our templates; nothing is read from files or addresses.
          disableFileAccess: true,
          disableUrlAccess: true,
        })
      } catch (cause) {
        throw new Unavailable('send a mail', { cause, retryAfterSeconds: 30 })
      }
    },
    async [Symbol.asyncDispose]() {
      transport.close()
    },
  }
}
