import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseQuery, splitTarget } from '../../platform/http/request.ts'
import type { KeptMail, Mailbox } from './mailbox.ts'

/**
 * The mailbox for people and for test clients: `GET /` is a page, `GET /mails/<id>` one of a mail,
 * `GET /mails?to=` is JSON (`{mails: KeptMail[]}`, oldest first), `DELETE /mails` empties it. Answers
 * false when the path is not one of these.
 */
export function serveMailbox(
  mailbox: Mailbox,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { path, query } = splitTarget(request.url ?? '/')
  if (request.method === 'GET' && path === '/') {
    send(response, 200, 'text/html; charset=utf-8', listPage(mailbox.list().toReversed()))
    return true
  }
  const mail = mailbox.list().find(({ id }) => path === `/mails/${id}`)
  if (request.method === 'GET' && mail !== undefined) {
    send(response, 200, 'text/html; charset=utf-8', mailPage(mail))
    return true
  }
  if (path !== '/mails') return false
  if (request.method === 'GET') {
    const mails = mailbox.list(parseQuery(query)['to'])
    send(response, 200, 'application/json', JSON.stringify({ mails }))
    return true
  }
  if (request.method === 'DELETE') {
    mailbox.clear().then(
      () => send(response, 200, 'application/json', '{}'),
      () => send(response, 500, 'application/json', '{}'),
    )
    return true
  }
  return false
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => entities[c] ?? c)

const style = `
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.4rem; margin: 0 }
  p.hint { opacity: .7; margin: .2rem 0 1.5rem }
  ul { list-style: none; margin: 0; padding: 0 }
  li { border: 1px solid var(--line); border-radius: 8px; margin: .6rem 0; padding: .6rem .9rem;
    display: flex; gap: 1rem; justify-content: space-between; flex-wrap: wrap }
  li span { opacity: .7; font-size: .9rem }
  code.code { font-size: 1.15rem; letter-spacing: .15em; font-weight: 600 }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }
`

/** Both pages are whole by themselves: nothing is loaded from elsewhere, and no script runs. */
const page = (title: string, head: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">${head}
<title>${escapeHtml(title)}: Tricord</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`

function listPage(mails: readonly KeptMail[]): string {
  const list =
    mails.length === 0
      ? '<p>No mail yet. Register somebody, and the code appears here.</p>'
      : `<ul>\n${mails.map(item).join('\n')}\n</ul>`
  return page(
    'Mailbox',
    '\n<meta http-equiv="refresh" content="5">',
    `<h1>Mailbox</h1>
<p class="hint">Mails that would have been sent, newest first. Nothing leaves this machine.
As JSON: <code>/mails?to=ADDRESS</code></p>
${list}`,
  )
}

const item = (mail: KeptMail): string => `<li>
<a href="/mails/${escapeHtml(mail.id)}">${escapeHtml(mail.subject)}</a>${codeOf(mail)}
<span>${escapeHtml(mail.to)}, ${timeOf(mail)}</span>
</li>`

const mailPage = (mail: KeptMail): string =>
  page(
    mail.subject,
    '',
    `<h1>${escapeHtml(mail.subject)}</h1>
<p class="hint">To ${escapeHtml(mail.to)}, from ${escapeHtml(mail.from)}, ${timeOf(mail)}${codeOf(mail)}</p>
<pre>${escapeHtml(mail.text)}</pre>
<p><a href="/">All mails</a></p>`,
  )

function codeOf(mail: KeptMail): string {
  const code = mail.headers['X-Zeta-Code']
  return code === undefined ? '' : ` <code class="code">${escapeHtml(code)}</code>`
}

const timeOf = (mail: KeptMail): string =>
  escapeHtml(mail.received.replace('T', ' ').replace(/\..*$/, ' UTC'))
