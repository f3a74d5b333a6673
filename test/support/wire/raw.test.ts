import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

import { afterEach, beforeEach, expect, it } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'

import { rawClient, UnexpectedReply } from './raw.ts'
import { UpgradeRefused } from './raw-socket.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

type Answer = { status?: number; headers?: Record<string, string>; body?: string }

let server: Server
let sockets: WebSocketServer
let url: string
let seen: Seen[]
let answers: Answer[]
let onSocket: (socket: WebSocket) => void

beforeEach(async () => {
  seen = []
  answers = []
  onSocket = () => undefined
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      seen.push({ method, url, headers, body: Buffer.concat(chunks) })
      const { status = 200, headers: given = {}, body = '' } = answers.shift() ?? {}
      response.writeHead(status, given).end(body)
    })
  })
  sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.includes('access_token=bad')) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno')
      return
    }
    sockets.handleUpgrade(request, socket, head, (opened) => onSocket(opened))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  for (const socket of sockets.clients) socket.terminate()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

it("puts the version before every path but those that Wire's clients call without one", async () => {
  const client = rawClient(url, { version: 12 })
  await client.request('GET', '/self')
  await client.request('POST', '/access')
  await client.request('POST', '/access/logout')
  await client.request('GET', '/api-version')
  await client.request('GET', '/self', { version: 9 })
  await client.request('GET', '/accessory', { version: null })
  expect(seen.map((request) => request.url)).toEqual([
    '/v12/self',
    '/access',
    '/access/logout',
    '/api-version',
    '/v9/self',
    '/accessory',
  ])
})

it('keeps cookies and returns them to their path', async () => {
  const client = rawClient(url)
  answers.push({ headers: { 'set-cookie': 'zuid=abc; Path=/access; HttpOnly; Secure' } })
  await client.request('POST', '/login', { json: {} })
  await client.request('GET', '/self')
  await client.request('POST', '/access')
  expect(seen.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined, 'zuid=abc'])
})

it('compresses what it is told to compress', async () => {
  await rawClient(url).request('POST', '/list-users', { json: { a: 1 }, gzip: true })
  expect(seen[0]?.headers['content-encoding']).toBe('gzip')
  expect(gunzipSync(seen[0]?.body ?? '').toString()).toBe('{"a":1}')
})

it('fails with the reply when the status is not the expected one', async () => {
  const body = '{"code":403,"label":"access-denied","message":"no"}'
  answers.push({ status: 403, headers: { 'content-type': 'application/json' }, body })
  const failure = rawClient(url).request('GET', '/self', { expect: [200, 204] })
  await expect(failure).rejects.toThrow('403 instead of 200 or 204')
  await expect(failure).rejects.toBeInstanceOf(UnexpectedReply)
  await expect(failure).rejects.toMatchObject({ reply: { json: { label: 'access-denied' } } })
})

it('collects the events of a socket and what is wrong with its frames', async () => {
  const frame = { id: '1', payload: [{ type: 'user.update' }, { type: 'user.delete' }] }
  onSocket = (socket) => {
    socket.send(Buffer.from(JSON.stringify(frame)))
    socket.send(JSON.stringify({ id: '2', payload: [{ type: 'conversation.typing' }] }))
    socket.send(Buffer.from('{"id":"ü"'))
    socket.on('message', () => socket.send(Buffer.from('pong')))
  }
  await using socket = await rawClient(url).openAwait({ token: 'good' })
  await socket.ping()
  const { notification } = await socket.receives(({ type }) => type === 'user.delete')
  expect(notification).toBe('1')
  expect(socket.events.all).toHaveLength(3)
  expect(socket.faults).toEqual([
    'a text frame',
    'a byte above 0x7f',
    expect.stringContaining('no JSON'),
  ])
})

it('says how the server refused a socket', async () => {
  const refused = rawClient(url).openAwait({ token: 'bad' })
  await expect(refused).rejects.toBeInstanceOf(UpgradeRefused)
  await expect(refused).rejects.toMatchObject({ status: 401, body: 'no' })
})

it('acknowledges the messages of an event queue as they come', async () => {
  const acknowledged = new Promise((resolve) => {
    onSocket = (socket) => {
      const event = { id: '1', payload: [{ type: 'user.update' }] }
      socket.send(Buffer.from(JSON.stringify({ type: 'event', data: { event, delivery_tag: 7 } })))
      socket.on('message', (data) => resolve(JSON.parse((data as Buffer).toString())))
    }
  })
  await using queue = await rawClient(url).openEvents({ token: 'good', isAcknowledging: true })
  await queue.receives(({ type }) => type === 'user.update')
  expect(await acknowledged).toEqual({ type: 'ack', data: { delivery_tag: 7, multiple: false } })
})

it('tells those who wait that the socket closed', async () => {
  onSocket = (socket) => socket.close(1001)
  await using socket = await rawClient(url).openAwait({ token: 'good' })
  await expect(socket.receives(() => true)).rejects.toThrow('the socket closed with 1001')
  expect(await socket.closed).toEqual({ code: 1001, reason: '' })
})
