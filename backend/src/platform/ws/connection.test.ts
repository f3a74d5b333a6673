import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { afterEach, expect, it } from 'vitest'
import { Connection } from './connection.ts'
import type { ConnectionListener } from './connection.ts'
import { encodeFrame, opcode } from './frames.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

interface ServerEnd {
  connection: Connection
  messages: string[]
  drained: number
  closed: Promise<void>
  /** What the answer to a client's close waits for. */
  goodbye: Promise<void> | undefined
}

async function openPair(): Promise<{ client: WebSocket; server: ServerEnd; port: number }> {
  const { promise: server, resolve } = Promise.withResolvers<ServerEnd>()
  const http = createServer()
  const handshake = new WebSocketServer({ noServer: true, clientTracking: false })
  http.on('upgrade', (request, socket, head) => {
    handshake.handleUpgrade(request, socket, head, (webSocket) => {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>()
      const listener: ConnectionListener = {
        onMessage: (bytes) => end.messages.push(bytes.toString()),
        onDrain: () => {
          end.drained += 1
        },
        onGoodbye: () => end.goodbye,
        onClosed: close,
      }
      const end: ServerEnd = {
        connection: new Connection(webSocket, listener),
        messages: [],
        drained: 0,
        closed,
        goodbye: undefined,
      }
      resolve(end)
    })
  })
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
  const { port } = http.address() as AddressInfo
  const client = new WebSocket(`ws://127.0.0.1:${String(port)}/`)
  await new Promise((opened) => client.once('open', opened))
  stops.push(() => {
    client.terminate()
    http.close()
    http.closeAllConnections()
  })
  return { client, server: await server, port }
}

const received = (client: WebSocket): Promise<Buffer> =>
  new Promise((resolve) => client.once('message', resolve))

it('carries messages both ways', async () => {
  const { client, server } = await openPair()
  client.send('hello')
  server.connection.send(encodeFrame(opcode.binary, 'one'))
  server.connection.flush()
  expect((await received(client)).toString()).toBe('one')
  await expect.poll(() => server.messages).toEqual(['hello'])
})

it('sends frames of every length in order', async () => {
  const { client, server } = await openPair()
  const texts = [0, 1, 125, 126, 0xffff, 0x1_0000, 300_000].map((length) => 'x'.repeat(length))
  const all = new Promise<number[]>((resolve) => {
    const lengths: number[] = []
    client.on('message', (bytes: Buffer) => {
      if (lengths.push(bytes.length) === texts.length) resolve(lengths)
    })
  })
  for (const text of texts) server.connection.send(encodeFrame(opcode.binary, text))
  server.connection.flush()
  expect(await all).toEqual(texts.map(({ length }) => length))
})

it('answers pings and notices pongs', async () => {
  const { client, server } = await openPair()
  const ponged = new Promise<Buffer>((resolve) => client.once('pong', resolve))
  client.ping('here?')
  expect((await ponged).toString()).toBe('here?')

  const pinged = new Promise((resolve) => client.once('ping', resolve))
  server.connection.ping()
  expect(server.connection.unanswered).toBe(1)
  await pinged
  client.send('after the pong')
  await expect.poll(() => server.messages).toEqual(['after the pong'])
  expect(server.connection.unanswered).toBe(0)
})

it('closes with code and reason, after what was sent before', async () => {
  const { client, server } = await openPair()
  const first = received(client)
  const closed = new Promise<[number, string]>((resolve) => {
    client.once('close', (code, reason) => resolve([code, reason.toString()]))
  })
  server.connection.send(encodeFrame(opcode.binary, 'last'))
  server.connection.close(1001, 'going')
  expect((await first).toString()).toBe('last')
  expect(await closed).toEqual([1001, 'going'])
  await server.closed
})

it('answers the close of a client', async () => {
  const { client, server } = await openPair()
  const closed = new Promise<number>((resolve) => client.once('close', resolve))
  client.close(4000, 'enough')
  expect(await closed).toBe(4000)
  await server.closed
})

it('answers the close of a client when all it said has been dealt with', async () => {
  const { client, server } = await openPair()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.goodbye = promise
  let code: number | undefined
  const closed = new Promise<void>((closing) => {
    client.once('close', (given) => {
      code = given
      closing()
    })
  })
  client.send('the last')
  client.close(4000, 'enough')
  await expect.poll(() => server.connection.isOpen).toBe(false)
  expect(server.messages).toEqual(['the last'])
  server.connection.close(1001, 'going')
  server.connection.send(encodeFrame(opcode.binary, 'too late'))
  server.connection.flush()
  await new Promise((later) => setTimeout(later, 30))
  expect(code).toBeUndefined()
  resolve()
  await closed
  expect(code).toBe(4000)
  await server.closed
})

it('forgets a client that is gone before its close is answered', async () => {
  const { client, server } = await openPair()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.goodbye = promise
  client.close(4000)
  await expect.poll(() => server.connection.isOpen).toBe(false)
  client.terminate()
  await new Promise((later) => setTimeout(later, 30))
  resolve()
  await server.closed
})

it('notices that a client is gone without a word', async () => {
  const { client, server } = await openPair()
  client.terminate()
  await server.closed
  expect(server.connection.isOpen).toBe(false)
})

it('tells a client that breaks the protocol why, and ends', async () => {
  const { server, port } = await openPair()
  const raw = connect(port, '127.0.0.1')
  stops.push(() => raw.destroy())
  raw.write(
    'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await new Promise((resolve) => raw.once('data', resolve))
  const answer = new Promise<Buffer>((resolve) => raw.once('data', resolve))
  raw.write(Buffer.from([0x81, 0x01, 0x61]))
  const bytes = await answer
  expect(bytes[0]).toBe(0x88)
  expect(bytes.readUInt16BE(2)).toBe(1002)
  await new Promise((resolve) => raw.once('end', resolve))
  expect(server.connection.isOpen).toBe(true)
})

it('says when the client takes no more, and when it does again', async () => {
  const { client, server } = await openPair()
  client.pause()
  const frame = encodeFrame(opcode.binary, 'x'.repeat(64 * 1024))
  let sent = 0
  while (server.connection.hasRoom && sent < 2000) {
    server.connection.send(frame)
    server.connection.flush()
    sent += 1
    if (sent % 16 === 0) await new Promise(setImmediate)
  }
  expect(server.connection.hasRoom).toBe(false)
  client.resume()
  await expect.poll(() => server.drained).toBeGreaterThan(0)
  expect(server.connection.hasRoom).toBe(true)
})

it('takes what came together with the handshake', async () => {
  const { server, port } = await openPair()
  const raw = connect(port, '127.0.0.1')
  stops.push(() => raw.destroy())
  const upgrade =
    'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
    'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  const ping = Buffer.from([0x89, 0x81, 0, 0, 0, 0, 0x78])
  const chunks: Buffer[] = []
  raw.on('data', (chunk) => chunks.push(chunk))
  raw.write(Buffer.concat([Buffer.from(upgrade), ping]))
  const pong = Buffer.from([0x8a, 0x01, 0x78])
  await expect.poll(() => Buffer.concat(chunks).subarray(-3).equals(pong)).toBe(true)
  expect(server.connection.isOpen).toBe(true)
})

it('answers only the last ping of a client that sends many and reads nothing', async () => {
  const { client, server } = await openPair()
  client.pause()
  const frame = encodeFrame(opcode.binary, 'x'.repeat(64 * 1024))
  while (server.connection.hasRoom) {
    server.connection.send(frame)
    server.connection.flush()
    await new Promise(setImmediate)
  }
  const before = server.connection.waitingBytes
  const pongs: string[] = []
  client.on('pong', (bytes) => pongs.push(bytes.toString()))
  for (let i = 0; i < 5000; i += 1) client.ping(`${String(i)} ${'x'.repeat(100)}`)
  client.send('all sent')
  await expect.poll(() => server.messages).toEqual(['all sent'])
  expect(server.connection.waitingBytes - before).toBeLessThan(1024)
  client.resume()
  await expect.poll(() => pongs.at(-1)).toMatch(/^4999 /)
  expect(pongs.length).toBeLessThan(10)
})
