import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { openClient, type TurnClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { raisedLimits, startRelay, type Relay } from './support/relay.ts'
import { processTree, residentKilobytes } from './support/server-child.ts'
import { channelData, methods } from './support/stun.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

/** Clients until one is refused; its code, and the ones that got in. */
async function fill(
  relay: Relay,
  max: number,
  { sameUser = false }: { readonly sameUser?: boolean } = {},
): Promise<{ clients: TurnClient[]; code: string }> {
  const clients: TurnClient[] = []
  for (let index = 0; index < max; index += 1) {
    const client = await openClient(relay, {
      credentials: relay.credentialsFor(sameUser ? 0 : index),
    })
    clients.push(client)
    try {
      await client.allocate()
    } catch (error) {
      return { clients, code: String(error) }
    }
  }
  return { clients, code: 'all got in' }
}

async function close(clients: readonly TurnClient[]): Promise<void> {
  for (const client of clients) await client[Symbol.asyncDispose]()
}

async function expectCarries(client: TurnClient): Promise<void> {
  await using peer = await openPeer('127.0.0.2', { isEcho: true })
  await client.permit('127.0.0.2')
  client.sendTo(peer.address, Buffer.from('still here'))
  expect((await client.next())?.payload.toString()).toBe('still here')
}

describe('when something runs out', () => {
  it('ports: says 508, keeps what it has, and takes clients again when one leaves', async () => {
    await using relay = await startRelay({
      limits: raisedLimits,
      relayPorts: { from: 31_000, to: 31_019, restSeconds: 0 },
    })
    const { clients, code } = await fill(relay, 40)
    expect(code).toContain('508')
    // The process of the streams has a share of the ports too.
    expect(clients.length).toBeGreaterThanOrEqual(8)
    const [first, second] = clients
    if (first === undefined || second === undefined) throw new Error('nobody got in')
    await expectCarries(first)
    await second.refresh(0)
    await using next = await openClient(relay)
    await expect
      .poll(() => next.allocate().catch(() => undefined), { timeout: 20_000 })
      .toBeDefined()
    await expectCarries(first)
    await close(clients)
  })

  it('file descriptors: says 508, lives, and takes clients again when some leave', async () => {
    await using relay = await startRelay({ limits: raisedLimits, maxOpenFiles: 90 })
    const { clients, code } = await fill(relay, 120)
    expect(code).toContain('508')
    const [first] = clients
    if (first === undefined) throw new Error('nobody got in')
    // Streams find no descriptor either, or one: whichever, nobody is harmed.
    const streams = Array.from({ length: 50 }, () => connect(relay.port, relay.host))
    for (const stream of streams) stream.on('error', () => undefined)
    await sleep(300)
    await expectCarries(first)
    for (const stream of streams) stream.destroy()
    for (const client of clients.slice(1, -1)) await client.refresh(0)
    await using next = await openClient(relay)
    await expect
      .poll(() => next.allocate().catch(() => undefined), { timeout: 20_000 })
      .toBeDefined()
    await expectCarries(first)
    expect(relay.child.hasEnded()).toBe(false)
    await close(clients)
  })

  it('a user’s allocations: 486 to the 33rd', async () => {
    await using relay = await startRelay()
    const { clients, code } = await fill(relay, 40, { sameUser: true })
    expect(code).toContain('486')
    expect(clients.length).toBe(33)
    await close(clients)
  })

  it('an address’s allocations: 486 to the 65th', async () => {
    await using relay = await startRelay({ limits: { refusalsPerSecond: 1000 } })
    const { clients, code } = await fill(relay, 70)
    expect(code).toContain('486')
    expect(clients.length).toBe(65)
    await close(clients)
  })

  it('an allocation’s permissions and channels: 508 to the 65th', async () => {
    await using relay = await startRelay()
    await using client = await openClient(relay)
    await client.allocate()
    for (let index = 0; index < 64; index += 1) {
      expect((await client.permit(`127.1.0.${String(index + 1)}`)).code).toBeUndefined()
    }
    expect((await client.permit('127.1.1.1')).code).toBe(508)
    expect((await client.permit('127.1.0.1')).code).toBeUndefined()
    for (let index = 0; index < 64; index += 1) {
      const peer = { host: '127.1.0.1', port: 1000 + index }
      expect((await client.bind(0x4000 + index, peer)).code).toBeUndefined()
    }
    expect((await client.bind(0x4800, { host: '127.1.0.1', port: 5000 })).code).toBe(508)
  })

  it('refusals: after ten in a second an address hears no more of them, but is served', async () => {
    await using relay = await startRelay()
    await using client = await openClient(relay)
    await client.allocate()
    let answered = 0
    const startMs = performance.now()
    const asked = Array.from({ length: 100 }, async () => {
      const answer = await client.ask(methods.allocate, [], {
        without: ['integrity'],
        timeoutMs: 400,
      })
      if (answer !== undefined) answered += 1
    })
    await Promise.all(asked)
    const seconds = (performance.now() - startMs) / 1000
    expect(answered).toBeGreaterThanOrEqual(1)
    expect(answered).toBeLessThanOrEqual(10 * (Math.ceil(seconds) + 1))
    expect((await client.refresh()).code).toBeUndefined()
  })
})

describe('streams that want to hurt', () => {
  /** Resolves with how long the relay held the connection. */
  async function heldSeconds(socket: Socket): Promise<number> {
    const startMs = performance.now()
    socket.on('error', () => undefined)
    socket.resume()
    await once(socket, 'close')
    return (performance.now() - startMs) / 1000
  }

  it('silent, slow and speaking another tongue are closed after ten seconds', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    const open = (): Socket => connect(relay.port, relay.host)
    const [silent, http, drip, endless] = [open(), open(), open(), open()]
    http.write('GET / HTTP/1.1\r\nHost: turn.example\r\n\r\n')
    // A STUN header of a message that never comes whole.
    drip.write(Buffer.from('000100642112a442', 'hex'))
    endless.write(Buffer.from('4000ffff', 'hex'))
    const dripping = setInterval(() => void drip.write(Buffer.alloc(1)), 500)
    const held = await Promise.all([silent, http, drip, endless].map(heldSeconds))
    clearInterval(dripping)
    for (const seconds of held) expect(seconds).toBeLessThan(15)
    expect(relay.child.hasEnded()).toBe(false)
  })

  it('starting with a byte that no message starts with are closed at once', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    for (const byte of [0x50, 0x80, 0xff]) {
      const socket = connect(relay.port, relay.host)
      socket.write(Buffer.alloc(64, byte))
      expect(await heldSeconds(socket)).toBeLessThan(5)
    }
  })

  it('beyond 256 from one address are turned away, and the rest goes on', async () => {
    await using relay = await startRelay({ limits: { refusalsPerSecond: 1000 } })
    await using client = await openClient(relay, { kind: 'tcp' })
    await client.allocate()
    const sockets = Array.from({ length: 300 }, () => connect(relay.port, relay.host))
    let closed = 0
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        closed += 1
      })
      socket.resume()
    }
    await expect.poll(() => closed, { timeout: 30_000 }).toBeGreaterThanOrEqual(45)
    expect(closed).toBe(45)
    await expectCarries(client)
    for (const socket of sockets) socket.destroy()
  })

  it('that do not read what is relayed to them cost no memory', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay, { kind: 'tcp' })
    await using peer = await openPeer('127.0.0.2')
    const relayed = await client.allocate()
    await client.bind(0x4000, peer.address)
    const pids = await processTree(relay.child.pid)
    const before = await residentKilobytes(pids)
    client.transport.pause()
    const payload = Buffer.alloc(1200, 7)
    for (let index = 0; index < 20_000; index += 1) {
      peer.send(payload, relayed)
      if (index % 50 === 0) await sleep(1)
    }
    expect((await residentKilobytes(pids)) - before).toBeLessThan(40_000)
    client.transport.resume()
    await expect
      .poll(async () => (await client.refresh()).code, { timeout: 20_000 })
      .toBeUndefined()
    const whole = client.received.filter(({ payload: { length } }) => length === 1200)
    expect(whole.length).toBeGreaterThan(0)
    expect(whole.length).toBe(client.received.length)
  })

  it('with many messages in one write get an answer to each', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay, { kind: 'tcp' })
    await using peer = await openPeer('127.0.0.2', { isEcho: true })
    await client.allocate()
    await client.bind(0x4000, peer.address)
    const all = Array.from({ length: 100 }, (_, index) =>
      channelData(0x4000, Buffer.from(`message ${String(index)}`), true),
    )
    client.send(Buffer.concat(all))
    for (let index = 0; index < 100; index += 1) {
      expect((await client.next())?.payload.toString()).toBe(`message ${String(index)}`)
    }
  })
})
