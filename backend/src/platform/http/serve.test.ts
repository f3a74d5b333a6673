import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  MalformedBody,
  between,
  bytesBody,
  decodedBody,
  empty,
  endpoint,
  jsonTextBody,
  jsonTextResponse,
  since,
  streamBody,
  streamResponse,
  type Handlers,
} from '../../contract/endpoint.ts'
import { ApiError, Unavailable, errors } from '../../contract/error.ts'
import { systemClock } from '../clock.ts'
import { systemIds } from '../ids.ts'
import { createMetrics } from '../metrics.ts'
import { httpClient } from './http-client.ts'
import { fixedUpstream } from './upstream.ts'
import { localClient } from './local-client.ts'
import { routes } from './routes.ts'
import { createServe } from './serve.ts'
import { startServer, type RunningServer } from './server.ts'

const roomErrors = errors({
  full: { status: 409, label: 'room-full', message: 'There is no seat left' },
  hidden: { status: 403, label: 'not-declared', message: 'Nobody names this one' },
})

const Seat = z.object({ seat: z.int(), name: z.string().max(20) })

const api = {
  takeSeat: endpoint({
    method: 'POST',
    path: '/rooms/{room}/seats',
    versions: since(10),
    auth: 'user',
    summary: 'Take a seat',
    params: z.object({ room: z.guid() }),
    query: z.object({ loud: z.stringbool().optional() }),
    body: z.object({ name: z.string().max(20), seat: z.int().default(1) }),
    responses: { 200: Seat, 204: empty },
    errors: [roomErrors.full],
  }),
  takeSeatV9: endpoint({
    method: 'POST',
    path: '/rooms/{room}/seats',
    versions: between(8, 9),
    auth: 'none',
    summary: 'Take a seat, as older clients ask',
    responses: { 200: z.object({ old: z.boolean() }) },
    errors: [],
  }),
  countSeats: endpoint({
    method: 'GET',
    path: '/seats',
    versions: since(0),
    auth: 'none',
    summary: 'How many seats there are',
    responses: { 200: z.object({ seats: z.int() }) },
    errors: [],
  }),
  keepText: endpoint({
    method: 'PUT',
    path: '/text',
    versions: since(0),
    isUnprefixed: true,
    auth: 'none',
    summary: 'JSON comes back byte for byte',
    body: jsonTextBody(1024),
    responses: { 200: jsonTextResponse },
    errors: [],
  }),
  decode: endpoint({
    method: 'POST',
    path: '/decode',
    versions: since(0),
    auth: 'none',
    summary: 'A body in a format of its own',
    body: decodedBody({
      types: ['application/x-count'],
      limitBytes: 16,
      decode(bytes) {
        if (bytes.length === 0) throw new MalformedBody('There is nothing to count')
        return bytes.length
      },
    }),
    responses: { 200: z.object({ count: z.int() }) },
    errors: [],
  }),
  bytes: endpoint({
    method: 'POST',
    path: '/bytes',
    versions: since(0),
    auth: 'none',
    summary: 'Bytes',
    body: bytesBody(['message/mls'], 8),
    responses: { 200: z.object({ count: z.int() }) },
    errors: [],
  }),
  echo: endpoint({
    method: 'POST',
    path: '/echo',
    versions: since(0),
    auth: 'none',
    summary: 'A stream in, a stream out',
    body: streamBody(['application/octet-stream']),
    responses: { 200: streamResponse('application/octet-stream') },
    errors: [],
  }),
  add: endpoint({
    method: 'POST',
    path: '/i/add',
    versions: since(0),
    auth: 'internal',
    summary: 'Only for neighbours',
    body: z.object({ numbers: z.array(z.int()) }),
    responses: { 200: z.object({ sum: z.int() }) },
    errors: [roomErrors.full],
  }),
}

type Behaviour = 'ok' | 'full' | 'undeclared' | 'wrong reply' | 'down' | 'defect'

function handlers(behaviour: () => Behaviour): Handlers<typeof api> {
  return {
    async takeSeat({ caller, body, query }) {
      switch (behaviour()) {
        case 'full':
          throw new ApiError(roomErrors.full, { data: { seats: 3 } })
        case 'undeclared':
          throw new ApiError(roomErrors.hidden)
        case 'wrong reply':
          return { status: 200, body: { seat: 1, name: 'x'.repeat(21) } }
        case 'down':
          throw new Unavailable('ask the store', { retryAfterSeconds: 2 })
        case 'defect':
          throw new Error('a secret detail')
        case 'ok':
          if (query.loud === true) return { status: 204 }
          return {
            status: 200,
            body: { ...body, name: caller.user.slice(0, 4) },
            headers: { location: '/x' },
          }
      }
    },
    takeSeatV9: async () => ({ status: 200, body: { old: true } }),
    countSeats: async () => ({ status: 200, body: { seats: 3 } }),
    keepText: async ({ body }) => ({ status: 200, body }),
    decode: async ({ body }) => ({ status: 200, body: { count: body } }),
    bytes: async ({ body }) => ({ status: 200, body: { count: body.length } }),
    echo: async ({ body }) => ({ status: 200, body }),
    async add({ body }) {
      if (body.numbers.length > 3) throw new ApiError(roomErrors.full)
      return { status: 200, body: { sum: body.numbers.reduce((a, b) => a + b, 0) } }
    },
  }
}

const user = '11111111-1111-4111-8111-111111111111'
const room = '22222222-2222-4222-8222-222222222222'
const identity = { 'z-user': user, 'z-connection': '7' }

let server: RunningServer | undefined
afterEach(async () => {
  await server?.close(0)
  server = undefined
})

async function serve(behaviour: Behaviour = 'ok', isStrict = true): Promise<string> {
  const answer = createServe({
    routes: routes(
      api,
      handlers(() => behaviour),
    ),
    platform: { log: pino({ level: 'silent' }), clock: systemClock(), ids: systemIds() },
    metrics: createMetrics('test'),
    isStrict,
    timeouts: { idleMs: 200, totalMs: 1_000 },
  })
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (request, response) => void answer(request, response),
  })
  return server.url
}

async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? '' : JSON.parse(text),
  }
}

describe('an endpoint', () => {
  it('parses path, query and body, and answers what the handler returns', async () => {
    const url = await serve()
    const reply = await post(`${url}/v10/rooms/${room}/seats`, '{"name":"a","extra":1}', identity)
    expect(reply).toMatchObject({ status: 200, body: { seat: 1, name: '1111' } })
    expect(reply.headers.get('location')).toBe('/x')
    expect(
      await post(`${url}/v15/rooms/${room}/seats?loud=true`, '{"name":"a"}', identity),
    ).toMatchObject({
      status: 204,
      body: '',
    })
  })

  it('is found by its version, and versions that are gone have an error of their own', async () => {
    const url = await serve()
    const old = await post(`${url}/v8/rooms/${room}/seats`, '{}')
    expect(old.body).toEqual({ old: true })
    for (const prefix of ['', '/v0', '/v7', '/v16', '/v999']) {
      const reply = await post(`${url}${prefix}/rooms/${room}/seats`, '{}')
      expect(reply).toMatchObject({ status: 404, body: { label: 'unsupported-version' } })
    }
    expect(await post(`${url}/v9/nothing`, '{}')).toMatchObject({
      status: 404,
      body: { label: 'not-found' },
    })
    expect(await post(`${url}/v9/i/add`, '{"numbers":[]}')).toMatchObject({ status: 404 })
    expect(await post(`${url}/v9/text`, '{}')).toMatchObject({ status: 405 })
  })

  it('says what is wrong with a request, and where', async () => {
    const url = await serve()
    const seats = `${url}/v10/rooms/${room}/seats`
    const cases: [string, string, number, RegExp][] = [
      [seats, '{"name":5}', 400, /In the body: name/],
      [seats, '[]', 400, /In the body/],
      [seats, '', 400, /In the body/],
      [seats, '{"name":', 400, /not valid JSON/],
      [seats, `{"name":${'['.repeat(100)}${']'.repeat(100)}}`, 400, /nests deeper/],
      [`${url}/v10/rooms/x/seats`, '{"name":"a"}', 400, /In the path: room/],
      [`${seats}?loud=maybe`, '{"name":"a"}', 400, /In the query: loud/],
    ]
    for (const [target, body, status, message] of cases) {
      const reply = await post(target, body, identity)
      expect(reply, body).toMatchObject({ status, body: { code: status, label: 'bad-request' } })
      expect((reply.body as { message: string }).message).toMatch(message)
    }
  })

  it('that answers GET answers HEAD too, without the content', async () => {
    const url = await serve()
    const response = await fetch(`${url}/v9/seats`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe('11')
    expect(await response.text()).toBe('')
  })

  it('refuses a caller without identity', async () => {
    const url = await serve()
    const reply = await post(`${url}/v10/rooms/${room}/seats`, '{"name":"a"}')
    expect(reply.status).toBe(401)
  })

  it('answers declared errors as declared, with their details', async () => {
    const url = await serve('full')
    const reply = await post(`${url}/v10/rooms/${room}/seats`, '{"name":"a"}', identity)
    expect(reply.body).toEqual({
      code: 409,
      label: 'room-full',
      message: 'There is no seat left',
      seats: 3,
    })
  })

  it('turns an undeclared label and a wrong reply into a defect that tells nothing', async () => {
    for (const behaviour of ['undeclared', 'wrong reply', 'defect'] as const) {
      const url = await serve(behaviour)
      const reply = await post(`${url}/v10/rooms/${room}/seats`, '{"name":"a"}', identity)
      expect(reply, behaviour).toMatchObject({ status: 500, body: { label: 'server-error' } })
      expect(JSON.stringify(reply.body)).not.toContain('secret')
      await server?.close(0)
    }
  })

  it('answers 503 with Retry-After while a dependency is down', async () => {
    const url = await serve('down')
    const reply = await post(`${url}/v10/rooms/${room}/seats`, '{"name":"a"}', identity)
    expect(reply.status).toBe(503)
    expect(reply.headers.get('retry-after')).toBe('2')
  })
})

describe('a body', () => {
  it('may be gzipped, is bounded after decompression, and must be what it says', async () => {
    const url = await serve()
    const text = (body: Uint8Array<ArrayBuffer> | string, encoding: string) =>
      fetch(`${url}/text`, { method: 'PUT', body, headers: { 'content-encoding': encoding } })
    const exact = '{ "b":1,\n "a" : "ä" }'
    const kept = await text(gzipSync(exact), 'gzip')
    expect(await kept.text()).toBe(exact)
    expect((await text(gzipSync(JSON.stringify('x'.repeat(100_000))), 'gzip')).status).toBe(413)
    expect((await text('no gzip at all', 'gzip')).status).toBe(400)
    expect((await text(gzipSync(exact).subarray(0, 12), 'gzip')).status).toBe(400)
    expect((await text('{}', 'br')).status).toBe(415)
    expect((await text(JSON.stringify('x'.repeat(2_000)), 'identity')).status).toBe(413)
    expect((await text(new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 'identity')).status).toBe(400)
  })

  it('in a format of its own is decoded or refused with a sentence', async () => {
    const url = await serve()
    const type = { 'content-type': 'application/x-count' }
    expect((await post(`${url}/v9/decode`, 'abc', type)).body).toEqual({ count: 3 })
    expect(await post(`${url}/v9/decode`, '', type)).toMatchObject({
      status: 400,
      body: { message: 'There is nothing to count' },
    })
    expect((await post(`${url}/v9/decode`, 'x'.repeat(17), type)).status).toBe(413)
    expect((await post(`${url}/v9/decode`, 'abc')).status).toBe(415)
    const mls = { 'content-type': 'message/mls; charset=x' }
    expect((await post(`${url}/v9/bytes`, 'abc', mls)).body).toEqual({ count: 3 })
  })

  it('streams through without being held', async () => {
    const url = await serve()
    const chunk = new Uint8Array(64 * 1024).fill(7)
    const response = await fetch(`${url}/v9/echo`, {
      method: 'POST',
      duplex: 'half',
      headers: { 'content-type': 'application/octet-stream' },
      body: new ReadableStream({
        start(controller) {
          for (let i = 0; i < 32; i += 1) controller.enqueue(chunk)
          controller.close()
        },
      }),
    })
    expect((await response.arrayBuffer()).byteLength).toBe(32 * chunk.length)
  })

  it('that pauses too long is given up with 408, one that breaks off with 400 or a cut', async () => {
    const url = new URL(await serve())
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(url.port), url.hostname, () => {
        socket.write(
          'PUT /text HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{',
        )
      })
      let text = ''
      socket.on('data', (data) => (text += data.toString()))
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
    expect((await fetch(`${url.href}text`, { method: 'PUT', body: '{}' })).status).toBe(200)
  })

  it('that breaks off leaves the server answering', async () => {
    const url = new URL(await serve())
    await new Promise<void>((resolve) => {
      const request = httpRequest({
        port: url.port,
        method: 'PUT',
        path: '/text',
        headers: { 'content-length': 100, 'content-encoding': 'gzip' },
      })
      request.on('error', () => resolve())
      request.write('{')
      setTimeout(() => request.destroy(new Error('gone')), 20)
    })
    expect((await fetch(`${url.href}text`, { method: 'PUT', body: '{}' })).status).toBe(200)
  })
})

describe('the typed clients', () => {
  it('call the same handlers over HTTP and within the process', async () => {
    const url = await serve()
    const bound = routes(
      api,
      handlers(() => 'ok'),
    )
    const http = httpClient(api, { upstream: fixedUpstream(url) })
    const checked = localClient(api, () => bound, { isChecked: true })
    const unchecked = localClient(api, () => bound, { isChecked: false })
    for (const client of [http, checked, unchecked]) {
      expect((await client.add({ body: { numbers: [1, 2] } })).body.sum).toBe(3)
      await expect(client.add({ body: { numbers: [1, 2, 3, 4] } })).rejects.toMatchObject({
        declaration: { label: 'room-full' },
      })
    }
    for (const client of [http, checked]) {
      const seat = await client.takeSeat({
        caller: { user, client: undefined, connection: '7' } as never,
        params: { room },
        query: {},
        body: { name: 'a' },
      })
      expect(seat.body).toEqual({ seat: 1, name: '1111' })
    }
  })

  it('tell a service that cannot be reached from an exchange that broke off', async () => {
    const gone = httpClient(api, { upstream: fixedUpstream('http://127.0.0.1:9') })
    await expect(gone.add({ body: { numbers: [] } })).rejects.toMatchObject({ name: 'Unavailable' })
    const silent = await startServer({ host: '127.0.0.1', port: 0, listener: () => undefined })
    const slow = httpClient(api, { upstream: fixedUpstream(silent.url), timeoutMs: 50 })
    await expect(slow.add({ body: { numbers: [] } })).rejects.toMatchObject({
      name: 'UnknownOutcome',
    })
    await silent.close(0)
  })
})
