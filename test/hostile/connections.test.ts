import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServerProcess, type ServerProcess } from '../support/server-process.ts'
import { assetBody } from '../support/wire/asset-body.ts'
import { connectRaw } from './http.ts'
import { newWorld, type World } from './world.ts'

// Clients that go away, one way or another. In a process of its own, so that what stays open is the
// server's.

let server: ServerProcess
let world: World
beforeAll(async () => {
  server = await startServerProcess()
  world = await newWorld(server)
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const openFiles = async (): Promise<number> =>
  (await readdir(`/proc/${String(server.pid)}/fd`)).length

async function storedFiles(): Promise<string[]> {
  const entries = await readdir(join(server.data, 'objects'), {
    recursive: true,
    withFileTypes: true,
  })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}

/** Nothing that `work` opened stays open, and nothing that it wrote stays. */
async function leavesNothing(work: () => Promise<void>): Promise<void> {
  const filesBefore = await storedFiles()
  // The test's own client keeps a connection open for each of its workers, and some to spare; what
  // leaked would be there tens of times.
  const openBefore = (await openFiles()) + workerCount + 8
  await work()
  await expect.poll(openFiles, { timeout: 15_000 }).toBeLessThanOrEqual(openBefore)
  await expect.poll(storedFiles, { timeout: 15_000 }).toEqual(filesBefore)
  expect((await world.bob.request('GET', '/self')).status).toBe(200)
}

const head = (method: string, path: string, headers: Readonly<Record<string, string>>): string =>
  [
    `${method} ${path} HTTP/1.1`,
    'host: x',
    `authorization: Bearer ${world.alice.token ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n')

const get = (path: string): string => head('GET', path, {})

const workerCount = 10

async function times(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await work(next)
    }
  }
  await Promise.all(Array.from({ length: workerCount }, worker))
}

describe('a connection', () => {
  it('whose client has said all that it wants to say still gets its answer', async () => {
    await using connection = await connectRaw(server.url)
    connection.socket.end(get('/v15/self'))
    expect(await connection.receives(/^HTTP\/1\.1 200 .*qualified_id/s)).toContain('alice')
    expect(await connection.ends(10_000)).toBe(true)
  })

  it('with many requests at once gets as many answers, in order', async () => {
    await using connection = await connectRaw(server.url)
    const paths = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0 ? '/v15/self' : index % 3 === 1 ? '/v15/nothing' : '/api-version',
    )
    connection.write(paths.map(get).join(''))
    connection.write('nonsense\r\n\r\n')
    const text = await connection.receives(/HTTP\/1\.1 400 /)
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]))
    const expected = paths.map((path) => (path === '/v15/nothing' ? 404 : 200))
    expect(statuses.slice(0, -1)).toEqual(expected.slice(0, statuses.length - 1))
  })

  it('that is reset at any point of a request leaves nothing behind', async () => {
    const upload = assetBody({ bytes: Buffer.alloc(400_000, 7) })
    const json = Buffer.from(JSON.stringify({ name: 'x'.repeat(100_000) }))
    const whole = [
      [
        head('POST', '/v15/assets', {
          'content-type': upload.contentType,
          'content-length': String(upload.body.length),
        }),
        upload.body,
      ],
      [
        head('PUT', '/v15/self', {
          'content-type': 'application/json',
          'content-length': String(json.length),
        }),
        json,
      ],
      [
        head('PUT', '/v15/properties/x', { 'content-encoding': 'gzip', 'content-length': '90000' }),
        gzipSync(json),
      ],
      [head('POST', '/v15/self', { 'transfer-encoding': 'chunked' }), Buffer.from('5\r\nabcd')],
      [get('/v15/notifications'), Buffer.alloc(0)],
      [
        get('/await').replace(
          '\r\n',
          '\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
        ),
        Buffer.alloc(0),
      ],
    ] as const
    await leavesNothing(async () => {
      await times(240, async (index) => {
        const [text, body] = whole[index % whole.length] ?? ['', Buffer.alloc(0)]
        const bytes = Buffer.concat([Buffer.from(text), body])
        await using connection = await connectRaw(server.url)
        // Never all of it: an upload that arrived is kept, whether or not its client is there.
        connection.write(bytes.subarray(0, Math.floor((bytes.length * (index % 23)) / 23)))
        if (index % 2 === 0) await new Promise(setImmediate)
        else await new Promise((resolve) => setTimeout(resolve, index % 40))
        connection.socket.resetAndDestroy()
      })
    })
  })

  it('that is reset while it downloads leaves no file open', async () => {
    const asset = await world.alice.uploadAsset({ bytes: Buffer.alloc(8 * 1024 * 1024, 7) })
    const path = `/v15/assets/${asset.domain}/${asset.key}`
    await leavesNothing(async () => {
      await times(60, async (index) => {
        await using connection = await connectRaw(server.url)
        connection.write(head(index % 4 === 0 ? 'HEAD' : 'GET', path, {}))
        await connection.receives(/^HTTP\/1\.1 200 /)
        if (index % 2 === 0) connection.socket.pause()
        else connection.socket.resetAndDestroy()
      })
    })
  })

  it('whose upload is refused or wrong leaves no file behind', async () => {
    const bytes = Buffer.alloc(300_000, 7)
    const uploads = [
      assetBody({ bytes, claimed: { md5: Buffer.alloc(16).toString('base64') } }),
      assetBody({ bytes, claimed: { sizeBytes: 10, md5: undefined } }),
      assetBody({ bytes, claimed: { sizeBytes: 400_000, md5: undefined } }),
      assetBody({ bytes, claimed: { sizeBytes: 1e12, md5: undefined } }),
    ]
    await leavesNothing(async () => {
      await times(40, async (index) => {
        const { contentType, body } = uploads[index % uploads.length] ?? assetBody({ bytes })
        const reply = await world.alice.request('POST', '/assets', { contentType, body })
        expect([400, 413]).toContain(reply.status)
      })
    })
  })

  it('that comes and goes, two thousand times, leaves nothing behind', async () => {
    await leavesNothing(async () => {
      await times(2000, async (index) => {
        await using connection = await connectRaw(server.url)
        if (index % 3 === 0) connection.socket.end()
        else if (index % 3 === 1) connection.socket.resetAndDestroy()
      })
    })
  })
})

describe('a server that is told to stop', () => {
  it('does so, whatever its clients hold on to', async () => {
    await using other = await startServerProcess()
    const { alice } = await newWorld(other)
    const socket = await alice.openAwait()
    socket.pause()
    const connections = await Promise.all(
      [
        '',
        'GET / HTTP/1.1\r\n',
        'POST /v15/self HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n',
      ].map(async (text) => {
        const connection = await connectRaw(other.url)
        connection.write(text)
        return connection
      }),
    )
    const startedMs = performance.now()
    other.kill('SIGTERM')
    expect(await other.exit).toBe(0)
    // Sockets have two seconds to go, requests ten.
    expect(performance.now() - startedMs).toBeLessThan(16_000)
    for (const connection of connections) await connection[Symbol.asyncDispose]()
    socket.terminate()
  }, 40_000)
})
