export interface Mail {
  to: string
  subject: string
  text: string
  html?: string
  /** Such as Wire's `X-Zeta-Code`, which test clients read. */
  headers?: Readonly<Record<string, string>>
}

export interface MailSender extends AsyncDisposable {
  /** Resolves when the next hop has taken responsibility for the mail. */
  send(mail: Mail): Promise<void>
}
