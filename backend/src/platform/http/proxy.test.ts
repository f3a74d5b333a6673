import { Agent, type IncomingMessage, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ApiError, kitErrors } from '../../contract/error.ts'
import { createProxy } from './proxy.ts'
import { sendError } from './reply.ts'
import { startServer, type RunningServer } from './server.ts'
import { fixedUpstream, type Upstream } from './upstream.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]()
})

async function listen(listener: RequestListener): Promise<RunningServer> {
  const server = await startServer({ host: '127.0.0.1', port: 0, listener })
  open.push({ [Symbol.asyncDispose]: () => server.close(0) })
  return server
}

/** A proxy before a service that answers as given. */
async function before(
  service: RequestListener | string,
  upstreamOf: (address: string) => Upstream = fixedUpstream,
): Promise<{ url: string; port: number; closed: Promise<void> }> {
  const address = typeof service === 'string' ? service : (await listen(service)).url
  const agent = new Agent({ keepAlive: true })
  open.push({ [Symbol.asyncDispose]: async () => agent.destroy() })
  const proxy = createProxy(upstreamOf(address), agent)
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const { url, port } = await listen(
    (request, response) => void proxy(request, response).then(resolve),
  )
  return { url, port, closed }
}

/** Sends bytes as they are; what came until the connection ended. */
function exchange(port: number, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    for (const part of parts) socket.write(part)
  })
}

const get = (target: string): string =>
  `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`

async function textOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString()
}

describe('the proxy', () => {
  it('goes to the service, whatever host the target names', async () => {
    const elsewhere = await listen((_, response) => void response.end('elsewhere'))
    const { port } = await before(
      (request, response) => void response.end(`for ${request.url ?? ''}`),
    )
    const { host } = new URL(elsewhere.url)
    for (const target of [
      `${elsewhere.url}/v15/self`,
      `//${host}/v15/self`,
      `http://x@${host}/v15/self`,
    ]) {
      expect(await exchange(port, get(target)), target).toMatch(/for \/[^]*v15\/self$/)
    }
  })

  it('hands the path on as it is, so that both sides find the same endpoint', async () => {
    const { port } = await before(
      (request, response) => void response.end(`for ${request.url ?? ''}`),
    )
    for (const target of [
      '/v15/properties/..',
      '/v15/properties/%2e%2e',
      '/v15/assets/../i/push/v2',
      '/v15/properties/a%2fb%25?q=%zz&q=\\',
      '/v15//self/./x;y#z',
      '/v15/self?',
    ]) {
      const expected = target.replace(/\?$/, '')
      expect((await exchange(port, get(target))).split('\r\n\r\n')[1], target).toBe(
        `for ${expected}`,
      )
    }
  })

  it('hands on bodies of either framing, and replies', async () => {
    const { url } = await before((request, response) => {
      void textOf(request).then((text) => {
        response.writeHead(201, { location: '/x', 'x-body': `${request.method ?? ''} ${text}` })
        response.end('made')
      })
    })
    for (const body of ['whole', new Blob(['in chunks']).stream(), undefined]) {
      const reply = await fetch(url, { method: 'POST', body: body ?? null, duplex: 'half' })
      expect(reply.status).toBe(201)
      expect(reply.headers.get('location')).toBe('/x')
      const expected = body === undefined ? '' : typeof body === 'string' ? body : 'in chunks'
      expect(reply.headers.get('x-body')).toBe(`POST ${expected}`.trim())
      expect(await reply.text()).toBe('made')
    }
  })

  it('hands on an answer that comes before the end of the body', async () => {
    const { port } = await before(
      (_, response) => void sendError(response, new ApiError(kitErrors.tooLarge)),
    )
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n'
    for (let i = 0; i < 5; i += 1) {
      const reply = await exchange(port, head, Buffer.alloc(8 * 1024 * 1024))
      expect(reply).toMatch(/^HTTP\/1\.1 413 [^]*connection: close[^]*request-too-large/i)
    }
  })

  it('answers 503 when the service is not there or goes without a word', async () => {
    const dead = await listen(() => undefined)
    await dead.close(0)
    for (const service of [dead.url, ((request) => request.socket.destroy()) as RequestListener]) {
      const { url } = await before(service)
      const reply = await fetch(url, { method: 'POST', body: 'x' })
      expect(reply.status).toBe(503)
      expect(await reply.json()).toMatchObject({ label: 'service-unavailable' })
    }
  })

  it('cuts the reply that the service does not finish', async () => {
    const { port } = await before((request, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('a part')
      setTimeout(() => request.socket.destroy(), 20)
    })
    expect(await exchange(port, get('/'))).toMatch(/a part$/)
  })

  it('answers 503 when the service hangs, and cuts a reply that it does not finish any more', async () => {
    const hang = (address: string): Upstream => ({
      address: () => address,
      begin(_, giveUp) {
        const timer = setTimeout(() => giveUp(new Error('it hangs')), 30)
        return () => clearTimeout(timer)
      },
    })
    const silent = await before(() => undefined, hang)
    const reply = await fetch(silent.url, { method: 'POST', body: 'x' })
    expect(reply.status).toBe(503)
    expect(reply.headers.get('retry-after')).toBe('1')
    const { port } = await before((_, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('a part')
    }, hang)
    expect(await exchange(port, get('/'))).toMatch(/a part$/)
  })

  it('tells of each call how it ended, once it has', async () => {
    const told: unknown[] = []
    const tell = (address: string): Upstream => ({
      address: () => address,
      begin: () => (isAnswered) => void told.push(isAnswered),
    })
    const { url } = await before((request, response) => {
      if (request.url === '/gone') request.socket.destroy()
      else response.end('well')
    }, tell)
    await (await fetch(`${url}/well`)).text()
    await expect.poll(() => told).toEqual([true, undefined])
    await (await fetch(`${url}/gone`)).text()
    await expect.poll(() => told.slice(2)).toEqual([false, undefined])
  })

  it('tells the service when the caller goes away', async () => {
    const { promise: gone, resolve } = Promise.withResolvers<void>()
    const { promise: seen, resolve: see } = Promise.withResolvers<void>()
    const { port, closed } = await before((request) => {
      request.on('error', () => undefined)
      request.on('close', resolve)
      request.resume()
      see()
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx')
    await seen
    socket.destroy()
    await Promise.all([gone, closed])
  })
})
