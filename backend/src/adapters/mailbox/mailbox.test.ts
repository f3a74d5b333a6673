import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fakeClock } from '../../platform/fake-clock.ts'
import { systemIds } from '../../platform/ids.ts'
import { mailContract } from '../../ports/mail.contract.ts'
import { openMailbox, type Mailbox } from './mailbox.ts'
import { serveMailbox } from './page.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-mailbox-'))
})
afterEach(() => rm(folder, { recursive: true }))

const open = (): Promise<Mailbox> =>
  openMailbox({
    file: join(folder, 'mails.jsonl'),
    from: 'wire@example.org',
    clock: fakeClock(Date.UTC(2026, 0, 2)),
    ids: systemIds(),
  })
const mail = (to: string, subject: string) => ({ to, subject, text: `for ${to}` })

mailContract(async () => {
  const mailbox = await open()
  return {
    sender: mailbox,
    arrived: () => mailbox.list().map(({ to, headers, text }) => ({ to, headers, body: text })),
    [Symbol.asyncDispose]: () => mailbox[Symbol.asyncDispose](),
  }
})

it('keeps mails by address, oldest first, over a restart', async () => {
  {
    await using mailbox = await open()
    await mailbox.send({ ...mail('a@example.org', 'one'), headers: { 'X-Zeta-Code': '123456' } })
    await mailbox.send(mail('b@example.org', 'two'))
    await mailbox.send(mail('A@example.org', 'three'))
  }
  await using mailbox = await open()
  expect(mailbox.list('a@EXAMPLE.org').map(({ subject }) => subject)).toEqual(['one', 'three'])
  expect(mailbox.list()[0]).toMatchObject({
    from: 'wire@example.org',
    headers: { 'X-Zeta-Code': '123456' },
    received: '2026-01-02T00:00:00.000Z',
  })
})

it('reads on after a line that a crash cut off, and can be emptied', async () => {
  {
    await using mailbox = await open()
    await mailbox.send(mail('a@example.org', 'one'))
  }
  await appendFile(join(folder, 'mails.jsonl'), '\n{"id":"x","to":')
  {
    await using mailbox = await open()
    expect(mailbox.list()).toHaveLength(1)
    // One that a full disk cut off, with nobody starting anew.
    await appendFile(join(folder, 'mails.jsonl'), '\n{"id":"x","to":')
    await mailbox.send(mail('a@example.org', 'two'))
  }
  await using mailbox = await open()
  expect(mailbox.list().map(({ subject }) => subject)).toEqual(['one', 'two'])
  await mailbox.clear()
  expect(mailbox.list()).toEqual([])
  expect(await readFile(join(folder, 'mails.jsonl'), 'utf8')).toBe('')
})

it('holds a bounded number of mails', async () => {
  await using mailbox = await open()
  for (let i = 0; i < 2100; i += 1) await mailbox.send(mail('a@example.org', String(i)))
  const kept = mailbox.list()
  expect(kept).toHaveLength(1000)
  expect(kept.at(-1)?.subject).toBe('2099')
})

it('shows mails as a page and as JSON, with nothing in them taken for markup', async () => {
  await using mailbox = await open()
  await mailbox.send({ to: 'a@example.org', subject: '<script>', text: '"&\' </pre><b>' })
  const server = createServer((request, response) => {
    if (!serveMailbox(mailbox, request, response)) response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  const html = await (await fetch(url)).text()
  expect(html).toContain('&lt;script&gt;')
  expect(html).not.toContain('<script')
  const path = /href="(\/mails\/[^"]+)"/.exec(html)?.[1] ?? ''
  const one = await (await fetch(`${url}${path}`)).text()
  expect(one).toContain('<pre>&quot;&amp;&#39; &lt;/pre&gt;&lt;b&gt;</pre>')
  expect(one).not.toContain('<script')
  expect((await fetch(`${url}/mails/none`)).status).toBe(404)
  const json = (await (await fetch(`${url}/mails?to=a@example.org`)).json()) as { mails: object[] }
  expect(json.mails).toHaveLength(1)
  expect((await fetch(`${url}/mails`, { method: 'DELETE' })).status).toBe(200)
  expect(mailbox.list()).toEqual([])
  expect((await fetch(`${url}/else`)).status).toBe(404)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
