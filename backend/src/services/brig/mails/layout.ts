import type { MailText } from './texts.ts'

/** What a mail carries besides its text. */
export type MailPayload =
  | { kind: 'link'; url: string }
  | { kind: 'codes'; fields: readonly (readonly [name: string, value: string])[] }
  | { kind: 'none' }

export function layOut(
  { before, action = '', after }: MailText,
  payload: MailPayload,
): { text: string; html: string } {
  const paragraph = (text: string) => `<p>${escapeHtml(text)}</p>`
  const middle = render(payload, action)
  const html = [
    ...before.map(paragraph),
    ...middle.map((part) => part.html),
    ...after.map(paragraph),
  ]
  return {
    text: [...before, ...middle.map((part) => part.text), ...after].join('\n\n').concat('\n'),
    html: `<!doctype html><html><body>\n${html.join('\n')}\n</body></html>\n`,
  }
}

function render(payload: MailPayload, action: string): { text: string; html: string }[] {
  switch (payload.kind) {
    case 'link': {
      const url = escapeHtml(payload.url)
      const html = `<p><a href="${url}">${escapeHtml(action)}</a></p><p>${url}</p>`
      return [{ text: `${action}:\n${payload.url}`, html }]
    }
    case 'codes':
      return payload.fields.map(([name, value]) => ({
        text: `${name}: ${value}`,
        html: `<p>${escapeHtml(name)}: <strong>${escapeHtml(value)}</strong></p>`,
      }))
    case 'none':
      return []
  }
}

/** Names and device labels come from users. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
