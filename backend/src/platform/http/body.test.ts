import { setTimeout as sleep } from 'node:timers/promises'
import { createGzip, gzipSync } from 'node:zlib'
import { connect } from 'node:net'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  empty,
  endpoint,
  jsonTextBody,
  jsonTextResponse,
  since,
  streamBody,
  type Handlers,
} from '../../contract/endpoint.ts'
import { ApiError, errors } from '../../contract/error.ts'
import { systemClock } from '../clock.ts'
import { systemIds } from '../ids.ts'
import { createMetrics } from '../metrics.ts'
import { readJson, type BodyTimeouts } from './body.ts'
import { routes } from './routes.ts'
import { createServe } from './serve.ts'
import { startServer, type RunningServer } from './server.ts'

const { refused } = errors({
  refused: { status: 413, label: 'too-much', message: 'That is more than anybody wants' },
})

const api = {
  keepText: endpoint({
    method: 'PUT',
    path: '/text',
    versions: since(0),
    auth: 'none',
    summary: 'JSON that comes back',
    body: jsonTextBody(1024),
    responses: { 200: jsonTextResponse },
    errors: [],
  }),
  count: endpoint({
    method: 'POST',
    path: '/count',
    versions: since(0),
    auth: 'none',
    summary: 'Counts bytes, slowly',
    body: streamBody(['application/octet-stream']),
    responses: { 200: z.object({ bytes: z.int() }) },
    errors: [],
  }),
  refuse: endpoint({
    method: 'POST',
    path: '/refuse',
    versions: since(0),
    auth: 'none',
    summary: 'Looks at the beginning and refuses',
    body: streamBody(['application/octet-stream']),
    responses: { 200: empty },
    errors: [refused],
  }),
}

const handlers: Handlers<typeof api> = {
  keepText: async ({ body }) => ({ status: 200, body }),
  async count({ body }) {
    let bytes = 0
    for await (const chunk of body) {
      bytes += chunk.length
      await sleep(150)
    }
    return { status: 200, body: { bytes } }
  },
  async refuse({ body }) {
    await body[Symbol.asyncIterator]().next()
    throw new ApiError(refused)
  },
}

let server: RunningServer | undefined
afterEach(async () => {
  await server?.close(0)
  server = undefined
})

async function start(
  options: { heldBytes?: number; timeouts?: BodyTimeouts } = {},
): Promise<RunningServer> {
  const serve = createServe({
    routes: routes(api, handlers),
    platform: { log: pino({ level: 'silent' }), clock: systemClock(), ids: systemIds() },
    metrics: createMetrics('test'),
    isStrict: true,
    timeouts: { idleMs: 100, totalMs: 5_000 },
    ...options,
  })
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (request, response) => void serve(request, response),
  })
  return server
}

/** Writes and never ends; what came until the server closed. */
function write(port: number, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    for (const part of parts) socket.write(part)
  })
}

const post = (path: string, headers: readonly string[] = []): string =>
  [`POST /v9${path} HTTP/1.1`, 'host: x', 'content-type: application/octet-stream', ...headers]
    .join('\r\n')
    .concat('\r\n\r\n')

describe('a body of JSON', () => {
  it('is handed on without a byte order mark', async () => {
    const { url } = await start()
    const body = Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from('{"a": "\u00e4"}')])
    const reply = await fetch(`${url}/v9/text`, { method: 'PUT', body })
    expect(Buffer.from(await reply.arrayBuffer()).toString()).toBe('{"a": "\u00e4"}')
  })

  it('is parsed or refused, whatever the bytes are', () => {
    const parse = (bytes: Uint8Array): unknown => {
      try {
        return readJson(Buffer.from(bytes)).value
      } catch (error) {
        if (error instanceof ApiError) return error.declaration.status
        throw error
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        parse(bytes)
      }),
    )
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parse(Buffer.from(text))).toEqual(JSON.parse(text))
      }),
    )
    for (const text of ['[', '{"a":']) expect(parse(Buffer.from(text.repeat(1_000_000)))).toBe(400)
  })
})

describe('a compressed body', () => {
  it('is not unpacked beyond its limit', async () => {
    const { url } = await start()
    const bomb = createGzip()
    const zeros = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 100; i += 1) bomb.write(zeros)
    bomb.end()
    const body = new Uint8Array(Buffer.concat(await bomb.toArray()))
    const reply = await fetch(`${url}/v9/text`, {
      method: 'PUT',
      body,
      headers: { 'content-encoding': 'gzip' },
    })
    expect(reply.status).toBe(413)
  })

  it('that unpacks to nothing is not read for ever', async () => {
    const { port } = await start()
    const nothing = Buffer.concat(Array<Uint8Array>(100).fill(gzipSync('')))
    const head = [
      'PUT /v9/text HTTP/1.1',
      'host: x',
      'content-encoding: gzip',
      'transfer-encoding: chunked',
    ]
    const reply = await write(
      port,
      `${head.join('\r\n')}\r\n\r\n`,
      `${nothing.length.toString(16)}\r\n`,
      nothing,
    )
    expect(reply).toMatch(/^HTTP\/1\.1 413 /)
  })
})

describe('a body that comes drop by drop', () => {
  it('is given up when it takes too long in all, though it never pauses', async () => {
    const { port } = await start({ timeouts: { idleMs: 10_000, totalMs: 100 } })
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.write('PUT /v9/text HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n')
      const drops = setInterval(() => socket.write(' '), 20)
      socket.on('data', (data) => {
        clearInterval(drops)
        socket.destroy()
        resolve(data.toString())
      })
    })
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*request-timeout/)
  })
})

describe('a body that is streamed', () => {
  it('and pauses too long is answered with 408', async () => {
    const { port } = await start()
    for (const start of ['', 'x']) {
      const reply = await write(port, post('/count', ['content-length: 10']), start)
      expect(reply).toMatch(/^HTTP\/1\.1 408 [\s\S]*request-timeout/)
    }
  })

  it('is not late while its reader is slow', async () => {
    const { url } = await start()
    const reply = await fetch(`${url}/v9/count`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(200_000),
    })
    expect(await reply.json()).toEqual({ bytes: 200_000 })
  })

  it('and is refused in the middle gets its answer, and the connection ends', async () => {
    const { port } = await start()
    const reply = await write(
      port,
      post('/refuse', ['content-length: 100000000']),
      Buffer.alloc(8 * 1024 * 1024),
    )
    expect(reply).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*too-much/i)
  })

  it('and is no gzip is answered with 400', async () => {
    const { url } = await start()
    const reply = await fetch(`${url}/v9/count`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' },
      body: 'no gzip at all',
    })
    expect(reply.status).toBe(400)
  })
})

describe('the memory of bodies', () => {
  it('is not spent on more values than anybody needs', async () => {
    const tooMany = (bytes: string): unknown => {
      try {
        return readJson(Buffer.from(bytes), { maxValues: 100 }).value
      } catch (error) {
        return error instanceof ApiError ? error.message : error
      }
    }
    expect(tooMany(`[${'1,'.repeat(98)}1]`)).toHaveLength(99)
    expect(tooMany(`["${','.repeat(500)}[{\\""]`)).toHaveLength(1)
    for (const text of [
      `[${'1,'.repeat(100)}1]`,
      `[${'[],'.repeat(60)}1]`,
      `{${'"a":1,'.repeat(100)}"b":1}`,
    ]) {
      expect(tooMany(text)).toBe('The body has more than 100 values')
    }
  })

  it('is bounded for all callers together: who comes too much gets 503 and may try again', async () => {
    const { url, port } = await start({ heldBytes: 1000 })
    const body = JSON.stringify('x'.repeat(600))
    const head = ['PUT /v9/text HTTP/1.1', 'host: x', `content-length: ${String(body.length)}`]
    const first = connect(port, '127.0.0.1')
    let reply = ''
    first.on('data', (chunk) => (reply += chunk.toString()))
    first.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, -1)}`)
    await sleep(50)
    const second = await fetch(`${url}/v9/text`, { method: 'PUT', body })
    expect(second.status).toBe(503)
    expect(second.headers.get('retry-after')).toBe('1')
    first.write('"')
    await new Promise((resolve) => first.once('data', resolve))
    expect(reply).toMatch(/^HTTP\/1\.1 200 /)
    first.destroy()
    for (let i = 0; i < 5; i += 1) {
      expect((await fetch(`${url}/v9/text`, { method: 'PUT', body })).status).toBe(200)
      expect((await fetch(`${url}/v9/text`, { method: 'PUT', body: 'x' })).status).toBe(400)
    }
  })
})
