import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { pino } from 'pino'
import { z } from 'zod'
import { since, socketEndpoint } from '../../contract/endpoint.ts'
import { systemClock } from '../clock.ts'
import { systemIds } from '../ids.ts'
import { socketRoute } from './routes.ts'
import { startServer, type RunningServer, type ServerOptions } from './server.ts'
import { createServeUpgrade } from './upgrade.ts'

let server: RunningServer | undefined
afterEach(async () => {
  await server?.close(0)
  server = undefined
})

async function start(options: Partial<ServerOptions> = {}): Promise<RunningServer> {
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (request, response) => {
      request.resume()
      response.end('fine')
    },
    ...options,
  })
  return server
}

interface Conversation {
  readonly socket: Socket
  /** What came until the server let go of the connection altogether, not only of its side. */
  readonly ended: Promise<string>
}

/** Says something and keeps its side open, as a client does that hopes to be forgotten. */
function say(port: number, ...texts: readonly string[]): Conversation {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  socket.on('data', (chunk) => (received += chunk.toString('latin1')))
  for (const text of texts) socket.write(text)
  // A server that only closed its side takes these for ever without a word.
  let knocking: NodeJS.Timeout | undefined
  socket.on('end', () => {
    knocking = setInterval(() => socket.write('?'), 100)
  })
  const ended = new Promise<string>((resolve) => {
    const end = (): void => {
      clearInterval(knocking)
      resolve(received)
    }
    socket.on('error', end)
    socket.on('close', end)
  })
  return { socket, ended }
}

const bodyOf = (reply: string): unknown => JSON.parse(reply.slice(reply.indexOf('\r\n\r\n') + 4))

/** Sockets that a handler has prepared for: it is asked, then waits to be let on. */
const slow = { asked: Promise.withResolvers<void>(), goOn: Promise.withResolvers<void>() }
const outcomes: string[] = []

const upgrade = createServeUpgrade({
  routes: [
    socketRoute(
      'await',
      socketEndpoint({
        path: '/await',
        versions: since(0),
        isUnprefixed: true,
        summary: 'A socket',
        query: z.object({}),
        errors: [],
      }),
      async () => (webSocket) => webSocket?.close(1000),
    ),
    socketRoute(
      'slow',
      socketEndpoint({
        path: '/slow',
        versions: since(0),
        isUnprefixed: true,
        summary: 'A socket that takes its time',
        query: z.object({}),
        errors: [],
      }),
      async () => {
        slow.asked.resolve()
        await slow.goOn.promise
        return (webSocket) => void outcomes.push(webSocket === undefined ? 'gone' : 'open')
      },
    ),
    socketRoute(
      'broken',
      socketEndpoint({
        path: '/broken',
        versions: since(0),
        isUnprefixed: true,
        summary: 'A socket that nobody can use',
        query: z.object({}),
        errors: [],
      }),
      async () => () => {
        throw new Error('a defect')
      },
    ),
  ],
  platform: { log: pino({ level: 'silent' }), clock: systemClock(), ids: systemIds() },
  addressOf: () => '',
})

const upgradeHeaders = [
  'host: x',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
]
const upgradeRequest = (path: string, headers = upgradeHeaders, method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`

describe('what is no HTTP', () => {
  it('gets an error body, and the connection is let go of', async () => {
    const { port } = await start()
    const texts = [
      'nonsense\r\n\r\n',
      '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
      'GET / HTTP/9.9\r\n\r\n',
      'GET /\xe4 HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
    ]
    for (const reply of await Promise.all(texts.map((text) => say(port, text).ended))) {
      expect(reply).toMatch(/^HTTP\/1\.1 400 [\s\S]*connection: close/i)
      expect(bodyOf(reply)).toMatchObject({ code: 400, label: 'bad-request' })
    }
  })

  it('behind a good request leaves its answer alone', async () => {
    const { port } = await start()
    const { socket, ended } = say(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    socket.once('data', () => socket.write('nonsense\r\n\r\n'))
    expect(await ended).toMatch(/^HTTP\/1\.1 200 [\s\S]*fineHTTP\/1\.1 400 /)
  })

  it('within a body does not break into the answer', async () => {
    const { port } = await start({
      listener: (request, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('the beginning')
        request.resume()
      },
    })
    const { socket, ended } = say(
      port,
      'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    socket.once('data', () => socket.write('nonsense\r\n'))
    expect(await ended).toMatch(/the beginning$/)
  })

  it('has headers of a bounded size', async () => {
    const { port } = await start()
    const long = `x: ${'a'.repeat(40_000)}\r\n`
    const reply = await say(port, `GET / HTTP/1.1\r\nhost: x\r\n${long}\r\n`).ended
    expect(reply).toMatch(/^HTTP\/1\.1 431 /)
    expect(bodyOf(reply)).toMatchObject({ code: 431 })
  })
})

describe('the end of the server', () => {
  const closesInTime = async (running: RunningServer): Promise<boolean> => {
    const startedMs = performance.now()
    await running.close(5_000)
    return performance.now() - startedMs < 4_000
  }

  it('waits for the answer in progress, and not for the client to let go', async () => {
    const arrived = Promise.withResolvers<() => void>()
    const running = await start({
      listener: (_request, response) => arrived.resolve(() => response.end('fine')),
    })
    const { ended } = say(running.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await arrived.promise
    const closing = closesInTime(running)
    answer()
    expect(await closing).toBe(true)
    expect(await ended).toMatch(/^HTTP\/1.1 200[^]*connection: close[^]*fine$/i)
  })

  it('loses nothing of those who have not heard yet', async () => {
    const running = await start({
      listener: (_request, response) => void response.end('fine'),
      noticeMs: 4_000,
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    const ask = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        httpGet({ port: running.port, host: '127.0.0.1', agent }, (reply) => {
          reply.resume().on('end', () => resolve(reply))
        }).on('error', reject)
      })
    await ask()
    const closing = running.close(20_000)
    // The connection that waits, and then new ones.
    for (let times = 0; times < 5; times += 1) {
      const { statusCode, headers } = await ask()
      expect(statusCode).toBe(200)
      expect(headers.connection).toBe('close')
    }
    agent.destroy()
    await closing
    await expect(ask()).rejects.toThrow('ECONNREFUSED')
  })

  it('waits for an answer whose first part went out before', async () => {
    const arrived = Promise.withResolvers<() => void>()
    const running = await start({
      listener: (_request, response) => {
        response.write('first, ', () => arrived.resolve(() => response.end('last')))
      },
    })
    const { ended } = say(running.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await arrived.promise
    const closing = closesInTime(running)
    answer()
    expect(await closing).toBe(true)
    expect(await ended).toMatch(/first, [^]*last/)
  })
})

describe('a client that asks without waiting for answers', () => {
  it('is cut off before its requests take all the memory', async () => {
    let asked = 0
    const { port } = await start({
      listener: () => {
        asked += 1
      },
    })
    const requests = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5_000)
    const { ended } = say(port, requests)
    expect(await ended).toBe('')
    expect(asked).toBeLessThanOrEqual(100)
  })

  it('may ask for a little ahead', async () => {
    const { port } = await start()
    const { socket, ended } = say(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(90))
    socket.end()
    expect((await ended).match(/HTTP\/1\.1 200/g)?.length).toBe(90)
  })
})

describe('a slow client', () => {
  it('is sent away when its request line and headers do not arrive in time', async () => {
    const { port } = await start({ timeouts: { headersMs: 150 } })
    const silent = say(port)
    const dripping = say(port, 'GET / HTTP/1.1\r\nhost: x\r\nx: ')
    const drip = setInterval(() => dripping.socket.write('y'), 20)
    expect(await dripping.ended).toMatch(/^HTTP\/1\.1 408 /)
    clearInterval(drip)
    expect(await silent.ended).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('is sent away when its request is not whole in time, though it never pauses', async () => {
    const { port } = await start({
      listener: (request) => request.resume(),
      timeouts: { headersMs: 100, requestMs: 200 },
    })
    const { socket, ended } = say(
      port,
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n',
    )
    const drip = setInterval(() => socket.write('y'), 20)
    socket.on('close', () => clearInterval(drip))
    expect(await ended).toMatch(/^HTTP\/1\.1 408 /)
    clearInterval(drip)
  })
})

describe('an upgrade', () => {
  it('that is refused gets an error body, and the connection is let go of', async () => {
    const { port } = await start({ upgrade })
    const without = (name: string): string[] =>
      upgradeHeaders.filter((header) => !header.startsWith(name))
    const cases: [string, number][] = [
      [upgradeRequest('/nothing'), 404],
      [upgradeRequest('/v15/i/await'), 404],
      [upgradeRequest('/v7/await'), 404],
      [upgradeRequest('/%zz'), 404],
      [upgradeRequest('/await', without('sec-websocket-key')), 400],
      [upgradeRequest('/await', [...without('sec-websocket-key'), 'sec-websocket-key: x']), 400],
      [upgradeRequest('/await', without('sec-websocket-version')), 400],
      [
        upgradeRequest('/await', [...without('sec-websocket-version'), 'sec-websocket-version: 7']),
        400,
      ],
      [upgradeRequest('/await', upgradeHeaders, 'POST'), 405],
    ]
    const replies = await Promise.all(cases.map(([text]) => say(port, text).ended))
    for (const [index, [text, status]] of cases.entries()) {
      const reply = replies[index] ?? ''
      expect(reply, text).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `))
      expect(bodyOf(reply), text).toMatchObject({ code: status })
    }
  })

  it('whose client goes away meanwhile is given up at once', async () => {
    const { port } = await start({ upgrade })
    const { socket } = say(port, upgradeRequest('/slow'))
    await slow.asked.promise
    socket.resetAndDestroy()
    // Until the reset has come round.
    await expect
      .poll(async () => (await fetch(`http://127.0.0.1:${String(port)}/`)).status)
      .toBe(200)
    slow.goOn.resolve()
    await expect.poll(() => outcomes).toEqual(['gone'])
  })

  it('whose socket cannot be used ends the socket, not the process', async () => {
    const { port } = await start({ upgrade })
    expect(await say(port, upgradeRequest('/broken')).ended).toMatch(/^HTTP\/1\.1 101 /)
    expect(await say(port, upgradeRequest('/nothing')).ended).toMatch(/^HTTP\/1\.1 404 /)
  })

  it('to anything but a WebSocket is not taken up: the request is answered as it is', async () => {
    const { port } = await start({ upgrade })
    const headers = ['host: x', 'connection: upgrade, close, http2-settings', 'upgrade: h2c']
    const reply = await say(port, upgradeRequest('/', headers)).ended
    expect(reply).toMatch(/^HTTP\/1\.1 200 [\s\S]*fine$/)
  })

  it('does not hold up the end of the server, whatever its client does', async () => {
    const running = await start({ upgrade })
    const { port } = running
    const refused = say(port, upgradeRequest('/nothing'))
    const open = say(port, upgradeRequest('/await'))
    await Promise.all(
      [refused, open].map(({ socket }) => new Promise((resolve) => socket.once('data', resolve))),
    )
    await running.close(10)
    for (const { socket } of [refused, open]) socket.destroy()
  })
})
