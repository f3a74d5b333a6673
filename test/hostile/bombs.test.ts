import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { residentBytes, startServerProcess, type ServerProcess } from '../support/server-process.ts'
import { connectRaw, senderTo, type HostileRequest, type Sender } from './http.ts'
import { newWorld, type World } from './world.ts'

// Small requests that want much memory, and large ones. In a process of its own, so that what is
// measured is the server's.

const mebibyte = 1024 * 1024
/** Far more than any of these should take, far less than what they ask for. */
const mostGrowthBytes = 150 * mebibyte

let server: ServerProcess
let sender: Sender
let world: World
beforeAll(async () => {
  server = await startServerProcess({ config: { isStrict: true } })
  sender = senderTo(server.url)
  world = await newWorld(server)
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

/** The most memory that the server had while `work` was done, above what it had before. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = await residentBytes(server.pid)
  let most = before
  const look = async (): Promise<void> => {
    most = Math.max(most, await residentBytes(server.pid))
  }
  const watch = setInterval(() => void look(), 20)
  try {
    await work()
  } finally {
    clearInterval(watch)
  }
  await look()
  return most - before
}

const to = (
  method: string,
  path: string,
  type: string,
  headers: Readonly<Record<string, string>> = {},
): HostileRequest => ({
  method,
  target: `/v15${path}`,
  headers: {
    authorization: `Bearer ${world.alice.token ?? ''}`,
    'content-type': type,
    ...headers,
  },
})

const messagesPath = (): string =>
  `/conversations/${world.group.domain}/${world.group.id}/proteus/messages`

async function isWell(): Promise<boolean> {
  return (await world.bob.request('GET', '/self')).status === 200
}

describe('memory stays bounded', () => {
  it('when a megabyte of gzip unpacks to a gigabyte', async () => {
    const member = gzipSync(Buffer.alloc(16 * mebibyte))
    const bomb = Buffer.concat(Array<Buffer>(64).fill(member))
    const growth = await growthDuring(async () => {
      for (const [request, statuses] of [
        [to('PUT', '/self', 'application/json'), [413]],
        [to('POST', '/login', 'application/json'), [413]],
        [to('PUT', '/properties/x', 'application/json'), [413]],
        [to('POST', messagesPath(), 'application/x-protobuf'), [413]],
        [to('POST', `/conversations/${world.group.id}/otr/messages`, 'application/json'), [413]],
        [to('POST', '/assets', 'multipart/mixed'), [400]],
      ] as const) {
        const headers = { ...request.headers, 'content-encoding': 'gzip' }
        const answer = await sender.send({ ...request, headers, body: bomb })
        expect(statuses, request.target).toContain(answer.status)
      }
    })
    expect(growth).toBeLessThan(mostGrowthBytes)
  })

  it('when a body is full of faults, or of things', async () => {
    const many = <T>(count: number, make: (index: number) => T): T[] =>
      Array.from({ length: count }, (_, index) => make(index))
    const id = (index: number): string =>
      `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
    const bodies: readonly (readonly [path: string, body: unknown])[] = [
      ['/list-users', { qualified_ids: many(200_000, () => 1) }],
      ['/list-users', { qualified_ids: many(5_000, (i) => ({ domain: 'a.example', id: id(i) })) }],
      ['/users/list-prekeys', Object.fromEntries(many(30_000, (i) => [`x${String(i)}`, 1]))],
      [
        '/users/list-prekeys',
        { [world.domain]: Object.fromEntries(many(10_000, (i) => [id(i), []])) },
      ],
      ['/conversations', { users: many(10_000, id) }],
      ['/conversations', { qualified_users: many(32_000, () => 1) }],
      ['/clients', { prekeys: many(32_000, () => 1) }],
      ['/handles', { handles: many(30_000, () => ''), return: 1 }],
    ]
    const growth = await growthDuring(async () => {
      for (const [path, body] of bodies) {
        const bytes = Buffer.from(JSON.stringify(body))
        const answer = await sender.send({ ...to('POST', path, 'application/json'), body: bytes })
        expect([200, 400, 403], path).toContain(answer.status)
        expect(answer.tookMs).toBeLessThan(10_000)
      }
    })
    expect(growth).toBeLessThan(mostGrowthBytes)
  })

  it('when one message names everybody, or nobody in many ways', async () => {
    const bodies: readonly (readonly [kind: string, text: string])[] = [
      ['empty lists', `{"sender":"1","recipients":{"x":[${'[],'.repeat(5_000_000)}[]]}}`],
      ['deep', `{"sender":"1","recipients":${'{"a":'.repeat(4_000_000)}`],
      ['no JSON', ' '.repeat(39 * mebibyte)],
    ]
    const growth = await growthDuring(async () => {
      for (const [kind, text] of bodies) {
        const path = `/conversations/${world.group.id}/otr/messages`
        const request = to('POST', path, 'application/json')
        const answer = await sender.send({ ...request, body: Buffer.from(text) })
        expect(answer.status, kind).toBe(400)
      }
    })
    expect(growth).toBeLessThan(2 * mostGrowthBytes)
  })

  it('when many upload the largest messages at once and never finish', async () => {
    const stall = Buffer.alloc(30 * mebibyte)
    const connections = await Promise.all(
      Array.from({ length: 12 }, async () => connectRaw(server.url)),
    )
    const growth = await growthDuring(async () => {
      let refused = 0
      const enough = Promise.withResolvers<void>()
      for (const connection of connections) {
        const { target, headers } = to('POST', messagesPath(), 'application/x-protobuf', {
          host: 'x',
          'content-length': String(39 * mebibyte),
        })
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
        connection.write(`POST ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
        connection.write(stall)
        connection.receives(/^HTTP\/1\.1 503 /, 15_000).then(
          () => {
            refused += 1
            if (refused === connections.length - 4) enough.resolve()
          },
          (error: unknown) => enough.reject(error),
        )
      }
      expect(await isWell()).toBe(true)
      await enough.promise
    })
    expect(growth).toBeLessThan(2 * mostGrowthBytes)
    for (const connection of connections) await connection[Symbol.asyncDispose]()
    // What they held is free again.
    const { domain, id } = world.bob.user
    const text = Buffer.alloc(10 * mebibyte)
    const recipients = { [domain]: { [id]: { [world.bob.device ?? '']: text } } }
    expect((await world.alice.sendOtr(world.group, { recipients })).status).toBe(201)
  })
})
