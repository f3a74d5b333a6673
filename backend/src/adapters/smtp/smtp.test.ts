import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Unavailable } from '../../contract/error.ts'
import { mailContract } from '../../ports/mail.contract.ts'
import { openSmtp } from './smtp.ts'
import type { SmtpOptions } from './smtp.ts'

interface Received {
  commands: string[]
  message: string
}

/** Enough of an SMTP server (RFC 5321) to take mails; `replies` overrides what a verb is answered. */
async function smtpServer(replies: Readonly<Record<string, string>> = {}) {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    let commands: string[] = []
    let message: string[] | undefined
    let rest = ''
    const answer = (line: string): void => {
      socket.write(`${line}\r\n`)
    }
    const answers: Readonly<Record<string, string>> = {
      EHLO: '250-test greets you\r\n250 AUTH PLAIN',
      DATA: '354 go on',
      QUIT: '221 bye',
      AUTH: '235 welcome',
      ...replies,
    }
    function line(text: string): void {
      if (message !== undefined) {
        if (text !== '.') {
          message.push(text)
          return
        }
        received.push({ commands, message: message.join('\n') })
        message = undefined
        commands = []
        answer(replies['.'] ?? '250 taken')
        return
      }
      commands.push(text)
      const verb = text.split(' ')[0]?.toUpperCase() ?? ''
      const reply = answers[verb] ?? '250 ok'
      if (reply === 'hang up') socket.destroy()
      else answer(reply)
      if (verb === 'DATA' && reply.startsWith('3')) message = []
    }
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString()).split('\r\n')
      rest = lines.pop() ?? ''
      lines.forEach(line)
    })
    answer('220 test')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const options: SmtpOptions = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    security: 'none',
    from: 'Wire <wire@example.org>',
  }
  return {
    options,
    received,
    get connections() {
      return connections
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const mail = {
  to: 'ann@example.org',
  subject: 'Ihr Code für Wire',
  text: 'The code is 123456',
  html: '<p>The code is <b>123456</b></p>',
  headers: { 'X-Zeta-Code': '123456' },
}

mailContract(async () => {
  const server = await smtpServer()
  const sender = await openSmtp(server.options)
  return {
    sender,
    arrived: () =>
      server.received.map(({ commands, message }) => {
        const [head = '', ...body] = message.split('\n\n')
        const to = commands.find((line) => line.startsWith('RCPT TO:')) ?? ''
        const headers = head.split('\n').map((line) => line.split(': ', 2))
        return {
          to: to.slice('RCPT TO:<'.length, -1),
          headers: Object.fromEntries(headers) as Record<string, string>,
          body: body.join('\n\n'),
        }
      }),
    async [Symbol.asyncDispose]() {
      await sender[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
})

describe('a mail', () => {
  it('arrives with its headers and both of its parts', async () => {
    await using server = await smtpServer()
    await using sender = await openSmtp(server.options)
    await sender.send(mail)
    const [first] = server.received
    expect(first?.commands).toContain('MAIL FROM:<wire@example.org>')
    expect(first?.commands).toContain('RCPT TO:<ann@example.org>')
    expect(first?.message).toMatch(/^From: Wire <wire@example\.org>$/m)
    expect(first?.message).toMatch(/^To: ann@example\.org$/m)
    expect(first?.message).toMatch(/^Subject: =\?UTF-8\?/m)
    expect(first?.message).toMatch(/^X-Zeta-Code: 123456$/m)
    expect(first?.message).toMatch(/^Auto-Submitted: auto-generated$/m)
    expect(first?.message).toContain('The code is 123456')
    expect(first?.message).toContain('<b>123456</b>')
  })

  it('cannot add headers or recipients through what it holds', async () => {
    await using server = await smtpServer()
    await using sender = await openSmtp(server.options)
    await sender.send({
      to: 'ann@example.org\r\nBcc: eve@example.org',
      subject: 'hello\r\nBcc: eve@example.org',
      text: 'text',
      headers: { 'X-Zeta-Code': '1\r\nBcc: eve@example.org' },
    })
    const [first] = server.received
    expect(first?.message).not.toMatch(/^Bcc:/im)
    expect(first?.commands.filter((line) => line.startsWith('RCPT'))).toHaveLength(1)
  })

  it('goes over a connection that is kept open', async () => {
    await using server = await smtpServer()
    await using sender = await openSmtp(server.options)
    for (let sent = 0; sent < 3; sent += 1) await sender.send(mail)
    expect(server.received).toHaveLength(3)
    expect(server.connections).toBe(1)
  })

  it('goes with the credentials of the file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tricord-smtp-'))
    try {
      const passwordFile = join(folder, 'password')
      await writeFile(passwordFile, 'secret\n')
      await using server = await smtpServer()
      await using sender = await openSmtp({ ...server.options, user: 'wire', passwordFile })
      await sender.send(mail)
      const plain = Buffer.from('\0wire\0secret').toString('base64')
      expect(server.received[0]?.commands).toContain(`AUTH PLAIN ${plain}`)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('never goes in clear where STARTTLS is asked for', async () => {
    await using server = await smtpServer({ STARTTLS: '502 no' })
    await using sender = await openSmtp({ ...server.options, security: 'starttls', user: 'wire' })
    await expect(sender.send(mail)).rejects.toThrow(Unavailable)
    expect(server.received).toEqual([])
  })
})

describe('a server that', () => {
  it.each([
    ['refuses the recipient', { RCPT: '550 no such user' }],
    ['is busy', { MAIL: '451 try again later' }],
    ['does not take the credentials', { AUTH: '535 no' }],
    ['refuses the message after reading it', { '.': '554 no' }],
    ['hangs up', { DATA: 'hang up' }],
  ])('%s makes sending Unavailable', async (_, replies) => {
    await using server = await smtpServer(replies)
    await using sender = await openSmtp({ ...server.options, user: 'wire' })
    await expect(sender.send(mail)).rejects.toThrow(Unavailable)
  })

  it('is not there makes sending Unavailable', async () => {
    const server = await smtpServer()
    await server[Symbol.asyncDispose]()
    await using sender = await openSmtp(server.options)
    await expect(sender.send(mail)).rejects.toThrow(Unavailable)
  })
})
