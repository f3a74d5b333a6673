import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { residentBytes, startServerProcess, type ServerProcess } from '../support/server-process.ts'
import { connectRaw, type RawConnection } from './http.ts'
import { newWorld, type World } from './world.ts'

const mebibyte = 1024 * 1024
const mostGrowthBytes = 130 * mebibyte

let server: ServerProcess
let world: World
beforeAll(async () => {
  server = await startServerProcess({
    config: {
      cannon: { consumableNotifications: true },
      wideColumn: { kind: 'sqlite', synchronous: 'off' },
    },
  })
  world = await newWorld(server)
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const handshake = (path: string, token: string): string =>
  [
    `GET ${path}${path.includes('?') ? '&' : '?'}access_token=${encodeURIComponent(token)} HTTP/1.1`,
    'host: x',
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
    '\r\n',
  ].join('\r\n')

/** A token of a connection of its own, so that the sockets of one user stay apart. */
async function tokenOf(client: World['bob']): Promise<string> {
  const { access_token } = await client.access({ withToken: false })
  return access_token
}

async function openRaw(path = '/await'): Promise<RawConnection> {
  const connection = await connectRaw(server.url)
  connection.write(handshake(path, await tokenOf(world.bob)))
  await connection.receives(/^HTTP\/1\.1 101 .*\r\n\r\n/s)
  return connection
}

interface Frame {
  readonly first: number
  readonly payload?: string | Uint8Array
  readonly isMasked?: boolean
  /** Claimed, whatever the payload has. */
  readonly length?: bigint
}

function encode({ first, payload = '', isMasked = true, length }: Frame): Buffer {
  const bytes = Buffer.from(payload as Uint8Array)
  const flag = isMasked ? 0x80 : 0
  const claimed = length ?? BigInt(bytes.length)
  const head =
    claimed < 126n
      ? Buffer.of(first, flag | Number(claimed))
      : Buffer.alloc(claimed < 65_536n ? 4 : 10)
  if (head.length > 2) {
    head[0] = first
    head[1] = flag | (head.length === 4 ? 126 : 127)
    if (head.length === 4) head.writeUInt16BE(Number(claimed), 2)
    else head.writeBigUInt64BE(claimed, 2)
  }
  return Buffer.concat([head, isMasked ? Buffer.alloc(4) : Buffer.alloc(0), bytes])
}

const ping = encode({ first: 0x81, payload: 'ping' })
/** The binary frame `pong`. */
const pong = '\x82\x04pong'

/** The server may ask at any time whether the client is there. */
const serverPing = '\x89\x00'
const withoutPings = (frames: string): string =>
  frames.startsWith(serverPing) ? withoutPings(frames.slice(serverPing.length)) : frames

/** Sends a message to Bob's device and waits until a well-behaved socket has it. */
async function othersAreServed(): Promise<void> {
  const { alice, bob, group } = world
  await using socket = await bob.openAwait({ token: await tokenOf(bob) })
  const text = randomBytes(8).toString('base64')
  const recipients = {
    [bob.user.domain]: { [bob.user.id]: { [bob.device ?? '']: Buffer.from(text, 'base64') } },
  }
  await alice.sendOtr(group, { recipients }, { expect: 201 })
  await socket.receives(({ data }) => JSON.stringify(data ?? '').includes(text))
}

describe('a socket whose client breaks the protocol', () => {
  it('is told why and closed, and no other one notices', async () => {
    const cases: readonly (readonly [what: string, bytes: Buffer, code: number])[] = [
      ['no mask', encode({ first: 0x81, payload: 'ping', isMasked: false }), 1002],
      ['reserved bits', encode({ first: 0xc1, payload: 'ping' }), 1002],
      ['an unknown opcode', encode({ first: 0x83 }), 1002],
      ['a control frame that is too long', encode({ first: 0x89, payload: 'x'.repeat(126) }), 1002],
      ['a control frame in pieces', encode({ first: 0x09, payload: 'x' }), 1002],
      ['a continuation of nothing', encode({ first: 0x80, payload: 'x' }), 1002],
      ['text that is not UTF-8', encode({ first: 0x81, payload: Buffer.of(0xff) }), 1007],
      ['a huge frame', encode({ first: 0x82, length: 2n ** 63n }), 1009],
      ['the hugest frame', encode({ first: 0x82, length: 2n ** 64n - 1n }), 1009],
      ['a message that is too large', encode({ first: 0x82, payload: Buffer.alloc(70_000) }), 1009],
      [
        'a message that grows too large',
        Buffer.concat(
          Array.from({ length: 80 }, (_, index) =>
            encode({ first: index === 0 ? 0x02 : 0x00, payload: Buffer.alloc(1000) }),
          ),
        ),
        1009,
      ],
      [
        'a close code that nobody may send',
        encode({ first: 0x88, payload: Buffer.of(0x03, 0xed) }),
        1002,
      ],
      ['half a close code', encode({ first: 0x88, payload: Buffer.of(0x03) }), 1002],
      ['no WebSocket at all', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 1002],
    ]
    await Promise.all(
      cases.map(async ([what, bytes, code]) => {
        await using connection = await openRaw()
        // What follows is not looked at.
        connection.write(Buffer.concat([bytes, ping, ping]))
        expect(await connection.ends(10_000), what).toBe(true)
        const text = connection.received()
        const close = withoutPings(text.slice(text.indexOf('\r\n\r\n') + 4))
        expect(close.charCodeAt(0), what).toBe(0x88)
        expect(close.charCodeAt(2) * 256 + close.charCodeAt(3), what).toBe(code)
        expect(close).not.toContain(pong)
      }),
    )
    await othersAreServed()
  })

  it('is served while it keeps the protocol in the smallest pieces', async () => {
    await using connection = await openRaw()
    const pieces = Buffer.concat(
      Array.from('ping', (letter, index) =>
        encode({ first: (index === 0 ? 0x01 : 0) | (index === 3 ? 0x80 : 0), payload: letter }),
      ),
    )
    for (const byte of pieces) connection.write(Buffer.of(byte))
    await connection.receives(/pong/)
    // Empty fragments for ever are allowed, and cost nothing.
    connection.write(encode({ first: 0x01 }))
    connection.write(Buffer.concat(Array<Buffer>(20_000).fill(encode({ first: 0x00 }))))
    connection.write(encode({ first: 0x80, payload: 'ping' }))
    await connection.receives(/pong.*pong/s)
  })

  it('may send frames together with the handshake', async () => {
    await using connection = await connectRaw(server.url)
    const text = handshake('/await', await tokenOf(world.bob))
    connection.write(Buffer.concat([Buffer.from(text), ping, ping]))
    await connection.receives(/pong.*pong/s)
  })

  it('of the acknowledged queue is closed on what is no acknowledgement', async () => {
    const replies = [
      'ping',
      '[]',
      'null',
      '{}',
      '['.repeat(60_000),
      '{"type":"ack"}',
      '{"type":"ack","data":{"delivery_tag":-1,"multiple":true}}',
      '{"type":"ack","data":{"delivery_tag":1e400,"multiple":false}}',
      '{"type":"ack","data":{"delivery_tag":9007199254740993,"multiple":true}}',
      '{"type":"ack","data":{"delivery_tag":"1","multiple":false}}',
      '{"type":"ack","data":{"delivery_tag":77,"multiple":true}}',
      '{"type":"ack_full_sync"}',
      '{"__proto__":{"type":"ack"}}',
    ]
    await Promise.all(
      replies.map(async (reply) => {
        await using connection = await openRaw('/v15/events')
        connection.write(encode({ first: 0x82, payload: reply }))
        expect(await connection.ends(10_000), reply.slice(0, 80)).toBe(true)
        expect(connection.received()).toContain(`\u0003${String.fromCharCode(0xeb)}`)
      }),
    )
    await othersAreServed()
  })
})

describe('memory stays bounded', () => {
  /** What the server took more while `work` was done, at its end. */
  async function growthAfter(work: () => Promise<void>): Promise<number> {
    const before = await residentBytes(server.pid)
    await work()
    return (await residentBytes(server.pid)) - before
  }

  it('when clients ask and ask and read nothing', async () => {
    const floodOf = (frame: Buffer, sizeBytes: number): Buffer =>
      Buffer.concat(Array<Buffer>(Math.ceil(sizeBytes / frame.length)).fill(frame))
    const floods = [
      floodOf(ping, 4 * mebibyte),
      floodOf(encode({ first: 0x89, payload: 'x'.repeat(125) }), 30 * mebibyte),
    ]
    const connections: RawConnection[] = []
    const growth = await growthAfter(async () => {
      for (const flood of floods) {
        for (let i = 0; i < 4; i += 1) {
          const connection = await openRaw()
          connections.push(connection)
          connection.socket.pause()
          connection.write(flood)
        }
      }
      await Promise.all(
        connections.map(
          ({ socket }) =>
            new Promise<void>((resolve) => {
              if (socket.writableLength === 0) resolve()
              else socket.once('drain', resolve)
            }),
        ),
      )
      await othersAreServed()
    })
    // The answers would be 120 MB.
    expect(growth).toBeLessThan(80 * mebibyte)
    for (const connection of connections) await connection[Symbol.asyncDispose]()
  }, 60_000)

  it('when a socket does not read while thousands of messages come, and none is lost', async () => {
    const { alice, bob, group } = world
    const count = 2_000
    const filler = randomBytes(12_000)
    const seen = { slow: new Set<string>(), quick: new Set<string>() }
    const note =
      (numbers: Set<string>) =>
      ({ event: { data } }: { event: { data?: unknown } }): void => {
        const text = (data as { text?: string } | undefined)?.text
        if (text !== undefined) numbers.add(Buffer.from(text, 'base64').subarray(0, 8).toString())
      }
    await using slow = await bob.openAwait({
      token: await tokenOf(bob),
      onEvent: note(seen.slow),
    })
    await using _quick = await bob.openAwait({
      token: await tokenOf(bob),
      onEvent: note(seen.quick),
    })
    slow.pause()
    const growth = await growthAfter(async () => {
      let next = 0
      const send = async (): Promise<void> => {
        while (next < count) {
          const text = Buffer.concat([Buffer.from(String(next).padStart(8, '0')), filler])
          next += 1
          const recipients = { [bob.user.domain]: { [bob.user.id]: { [bob.device ?? '']: text } } }
          await alice.sendOtr(group, { recipients }, { expect: 201 })
        }
      }
      await Promise.all(Array.from({ length: 16 }, send))
      await expect.poll(() => seen.quick.size, { timeout: 20_000 }).toBeGreaterThanOrEqual(count)
    })
    expect(seen.slow.size).toBeLessThan(count)
    slow.resume()
    await expect.poll(() => seen.slow.size, { timeout: 20_000 }).toBe(seen.quick.size)
    const order = slow.events.all.map(({ notification }) => notification)
    expect(new Set(order).size).toBe(order.length)
    expect(slow.faults).toEqual([])
    // The store's caches grow too; what went past the slow socket were 32 MB.
    expect(growth).toBeLessThan(mostGrowthBytes)
  }, 90_000)

  it('when two thousand connections say nothing, or half of something', async () => {
    const connections: RawConnection[] = []
    const head = handshake('/await', await tokenOf(world.bob))
    const growth = await growthAfter(async () => {
      for (let i = 0; i < 2000; i += 100) {
        const opened = await Promise.all(
          Array.from({ length: 100 }, async () => connectRaw(server.url)),
        )
        for (const [index, connection] of opened.entries()) {
          if (index % 4 === 1) connection.write(head.slice(0, -2))
          if (index % 4 === 2) connection.write('POST /v15/login HTTP/1.1\r\ncontent-length: 9\r\n')
          if (index % 4 === 3) connection.write(`GET / HTTP/1.1\r\nx: ${'y'.repeat(10_000)}`)
        }
        connections.push(...opened)
      }
      await othersAreServed()
    })
    expect(growth).toBeLessThan(mostGrowthBytes)
    for (const { socket } of connections) socket.resetAndDestroy()
    await othersAreServed()
  })
})
