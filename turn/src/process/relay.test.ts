import { spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { wirePassword } from '../credentials.ts'
import { loadLibc } from '../io/libc.ts'
import { realClient, type RealClient } from '../testing/real-client.ts'
import { codeOf, indication, peer, udp } from '../testing/test-relay.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written } from '../wire/attributes.ts'
import { formatEndpoint } from '../wire/ip.ts'
import { decodeMessage, methods } from '../wire/message.ts'
import { serveControl, sendControl } from './control.ts'
import { allocationsOf, renderMetrics, sumOf } from './metrics.ts'
import { waitForBinding } from './ready.ts'
import { serveOperator } from './operator-server.ts'
import { startRelay, type Relay } from './supervisor.ts'

/** Whole relays, with their processes and real sockets on loopback. */

// Each starts processes; on a busy machine they take their time.
vi.setConfig({ testTimeout: 90_000 })

const hasMmsg = loadLibc() !== undefined
const user = 'd=9999999999.v=1.k=0.t=s.r=alice'
const secrets = { first: 'the first secret', second: 'the second secret' }
let folder: string
let secretFile: string
let starts = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'turn-relay-'))
  secretFile = join(folder, 'secret')
  await writeFile(secretFile, `${secrets.first}\n`)
})
afterAll(() => rm(folder, { recursive: true }))

interface Started extends AsyncDisposable {
  readonly relay: Relay
  readonly file: string
  client(transport?: 'UDP' | 'TCP' | 'TLS', secret?: string): Promise<RealClient>
}

async function write(file: string, more: Record<string, unknown> = {}): Promise<void> {
  const { listen, ...rest } = more
  const config = {
    listen: {
      addresses: ['127.0.0.1'],
      udpPort: 0,
      tcpPort: 'off',
      ...(listen as object | undefined),
    },
    relay: { ports: { from: 32_768, to: 60_999, restSeconds: 0 } },
    credentials: { wire: { secretFiles: [secretFile] } },
    peers: { loopbackForTests: true },
    limits: { allocationsPerUser: 1000, allocationsPerSource: 1000, refusalsPerSecond: 1000 },
    workers: 1,
    metrics: 'off',
    log: { level: 'silent' },
    ...rest,
  }
  await writeFile(file, stringify(config))
}

async function start(more: Record<string, unknown> = {}): Promise<Started> {
  const file = join(folder, `turn-${String(starts++)}.yaml`)
  await write(file, more)
  const relay = await startRelay(file)
  return {
    relay,
    file,
    client(transport = 'UDP', secret = secrets.first) {
      const at = relay.listeners.find((listener) => listener.transport === transport)
      if (at === undefined) throw new Error(`nothing listens for ${transport}`)
      const password = wirePassword(Buffer.from(secret), user)
      return realClient({ transport, host: at.address, port: at.port, username: user, password })
    },
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  }
}

/** A peer that sends everything back. */
async function echo(): Promise<{ address: string; socket: Socket } & AsyncDisposable> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.2')
  await once(socket, 'listening')
  socket.on('message', (bytes, { port, address }) => socket.send(bytes, port, address))
  return {
    socket,
    address: `127.0.0.2:${String(socket.address().port)}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function channelData(number: number, payload: string): Buffer {
  const bytes = Buffer.alloc(4 + payload.length + (-payload.length & 3))
  bytes.writeUInt16BE(number, 0)
  bytes.writeUInt16BE(payload.length, 2)
  bytes.write(payload, 4, 'latin1')
  return bytes
}
const channel = written(attributes.channelNumber, 0x4000)
const release = written(attributes.lifetime, 0)

async function untilTrue(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await isTrue()) return
    await wait(50)
  }
  throw new Error('it never became true')
}

describe.each([...(hasMmsg ? (['mmsg'] as const) : []), 'dgram' as const])(
  'over UDP by %s',
  (io) => {
    it('packets go up and down, by channel and by indication, empty and long ones too', async () => {
      await using started = await start({ io })
      await using client = await started.client()
      await using other = await echo()
      expect(codeOf(await client.ask(methods.allocate, udp))).toBe(0)
      expect(codeOf(await client.ask(methods.createPermission, peer(other.address)))).toBe(0)
      for (const payload of ['', 'x', 'odd', 'y'.repeat(1400)]) {
        const data = written(attributes.data, Buffer.from(payload))
        client.write(indication(methods.send, peer(other.address), data))
        const down = decodeMessage(await client.next())
        const from = find(down, attributes.xorPeerAddress)
        expect(from && formatEndpoint(from)).toBe(other.address)
        expect(Buffer.from(find(down, attributes.data) ?? '!').toString()).toBe(payload)
      }
      expect(codeOf(await client.ask(methods.channelBind, channel, peer(other.address)))).toBe(0)
      for (const payload of ['', 'x', 'odd', 'y'.repeat(1400)]) {
        client.write(channelData(0x4000, payload))
        const down = Buffer.from(await client.next())
        expect(down.readUInt16BE(2)).toBe(payload.length)
        expect(down.subarray(4).toString('latin1')).toBe(payload)
      }
      const sum = sumOf(await started.relay.figures())
      expect(sum).toMatchObject({ packetsToPeers: 8, packetsFromPeers: 8, bytesToPeers: 2808 })
      expect(codeOf(await client.ask(methods.refresh, release))).toBe(0)
    })

    it('the port behind an even one is kept from others, and carries packets for its token', async () => {
      // Where packets go in batches, on whichever of two processes the token comes.
      await using started = await start({ io, workers: io === 'mmsg' ? 2 : 1 })
      await using client = await started.client()
      const pair = await client.ask(methods.allocate, udp, written(attributes.evenPort, true))
      const port = (find(pair, attributes.xorRelayedAddress)?.port ?? 0) + 1
      const foreign = createSocket('udp4')
      foreign.bind({ port, address: '127.0.0.1', exclusive: true })
      const [error] = (await once(foreign, 'error')) as [NodeJS.ErrnoException]
      foreign.close()
      expect(error.code).toBe('EADDRINUSE')
      const token = find(pair, attributes.reservationToken) ?? Buffer.alloc(8)
      await using other = await echo()
      const redeemed: number[] = []
      for (let tries = 0; tries < 4; tries += 1) {
        await using second = await started.client()
        const reply = await second.ask(
          methods.allocate,
          udp,
          written(attributes.reservationToken, token),
        )
        if (codeOf(reply) !== 0) continue
        redeemed.push(find(reply, attributes.xorRelayedAddress)?.port ?? 0)
        await second.ask(methods.channelBind, channel, peer(other.address))
        for (const payload of ['one', 'two']) {
          second.write(channelData(0x4000, payload))
          expect(
            Buffer.from(await second.next())
              .subarray(4, 7)
              .toString(),
          ).toBe(payload)
        }
      }
      expect(redeemed).toEqual([port])
    })

    it('a burst comes through in order', async () => {
      await using started = await start({ io, limits: { bitsPerSecond: 0 } })
      await using client = await started.client()
      await using other = await echo()
      await client.ask(methods.allocate, udp)
      await client.ask(methods.channelBind, channel, peer(other.address))
      const sent = Array.from({ length: 60 }, (_, at) => `packet ${String(at)}`)
      for (const payload of sent) client.write(channelData(0x4000, payload))
      const got: string[] = []
      while (got.length < sent.length) {
        const frame = Buffer.from(await client.next())
        got.push(frame.subarray(4, 4 + frame.readUInt16BE(2)).toString())
      }
      expect(got).toEqual(sent)
    })

    it('nothing hostile ends a process, and others are served on', async () => {
      await using started = await start({ io })
      await using client = await started.client()
      await using other = await echo()
      const before = started.relay.processes()
      const reply = await client.ask(methods.allocate, udp)
      const relayed = find(reply, attributes.xorRelayedAddress)
      await client.ask(methods.createPermission, peer(other.address))
      await using hostile = await started.client()
      const random = Buffer.from('0a5b8b5eaa'.repeat(20), 'hex')
      for (let length = 0; length < 60; length += 1) {
        hostile.write(random.subarray(0, length))
        hostile.write(
          Buffer.concat([Buffer.from('000100002112a442', 'hex'), random]).subarray(0, length),
        )
        hostile.write(Buffer.concat([Buffer.from('4000', 'hex'), random]).subarray(0, length))
        other.socket.send(random.subarray(0, length % 4), relayed?.port ?? 0, '127.0.0.1')
      }
      hostile.write(Buffer.alloc(9000, 0x40))
      expect(codeOf(await client.ask(methods.refresh))).toBe(0)
      expect(started.relay.processes()).toEqual(before)
      const { drops } = sumOf(await started.relay.figures())
      expect(drops.defect).toBe(0)
      expect(drops['not-turn']).toBeGreaterThan(0)
    })

    it('allocations that come and go leave no socket open', async () => {
      await using started = await start({ io })
      await using client = await started.client()
      const pid = started.relay.processes()['udp-0'] ?? 0
      const descriptors = async (): Promise<number> => {
        const { readdir } = await import('node:fs/promises')
        return process.platform === 'linux' ? (await readdir(`/proc/${String(pid)}/fd`)).length : 0
      }
      const cycle = async (count: number): Promise<void> => {
        for (let turn = 0; turn < count; turn += 1) {
          expect(codeOf(await client.ask(methods.allocate, udp))).toBe(0)
          await client.ask(methods.refresh, release)
        }
      }
      await cycle(5)
      const before = await descriptors()
      await cycle(100)
      expect(await descriptors()).toBe(before)
    })
  },
)

describe('over streams', () => {
  async function withTls(): Promise<Record<string, unknown>> {
    const certificate = await selfSigned('one')
    return {
      listen: { tcpPort: 0, tls: { ports: [0], ...certificate } },
      limits: { streamsPerSource: 4 },
    }
  }
  /** Made by openssl, for Node makes none. */
  async function selfSigned(name: string): Promise<{ certificateFile: string; keyFile: string }> {
    const certificateFile = join(folder, `${name}.pem`)
    const keyFile = join(folder, `${name}-key.pem`)
    const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const child = spawn(
      'openssl',
      ['req', ...options, '-keyout', keyFile, '-out', certificateFile, '-subj', `/CN=${name}`],
      { stdio: 'ignore' },
    )
    await once(child, 'close')
    return { certificateFile, keyFile }
  }

  it.each(['TCP', 'TLS'] as const)(
    '%s carries messages and padded ChannelData',
    async (transport) => {
      await using started = await start(await withTls())
      await using client = await started.client(transport)
      await using other = await echo()
      const reply = await client.ask(methods.allocate, udp)
      expect(codeOf(reply)).toBe(0)
      await client.ask(methods.channelBind, channel, peer(other.address))
      for (const payload of ['odd', '', 'y'.repeat(20_000)]) {
        client.write(channelData(0x4000, payload))
        expect(Buffer.from(await client.next())).toEqual(channelData(0x4000, payload))
      }
      const allocations = async () => allocationsOf(await started.relay.figures())
      expect(await allocations()).toEqual({ UDP: 0, TCP: 0, TLS: 0, [transport]: 1 })
      await client[Symbol.asyncDispose]()
      await untilTrue(async () => (await allocations())[transport] === 0)
    },
  )

  it('what is no TURN is closed, and so is one connection too many', async () => {
    await using started = await start(await withTls())
    await using hostile = await started.client('TCP')
    hostile.write(Buffer.from([0x50, 0, 0, 0]))
    await hostile.closed
    const open: RealClient[] = []
    for (let count = 0; count < 4; count += 1) open.push(await started.client('TCP'))
    await using fifth = await started.client('TCP')
    await fifth.closed
    for (const client of open) await client[Symbol.asyncDispose]()
    await untilTrue(async () => {
      await using again = await started.client('TCP')
      return await Promise.race([
        again.closed.then(() => false),
        again.ask(methods.binding).then(() => true),
      ])
    })
  })

  it('a new certificate serves new connections, and old ones stay', async () => {
    await using started = await start(await withTls())
    const port = started.relay.listeners.find(({ transport }) => transport === 'TLS')?.port ?? 0
    const subject = async (): Promise<string | string[] | undefined> => {
      const { connect } = await import('node:tls')
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const { CN } = socket.getPeerCertificate().subject
      socket.destroy()
      return CN
    }
    await using client = await started.client('TLS')
    await client.ask(methods.allocate, udp)
    expect(await subject()).toBe('one')
    const next = await selfSigned('two')
    await write(started.file, { listen: { tcpPort: 0, tls: { ports: [0], ...next } } })
    await started.relay.reload()
    await untilTrue(async () => (await subject()) === 'two')
    expect(codeOf(await client.ask(methods.refresh))).toBe(0)
  })
})

describe('the operator', () => {
  it('reloads secrets and lists; wrong files change nothing', async () => {
    await using started = await start()
    await using old = await started.client()
    expect(codeOf(await old.ask(methods.allocate, udp))).toBe(0)
    await writeFile(secretFile, secrets.second)
    try {
      await started.relay.reload()
    } finally {
      await writeFile(secretFile, secrets.first)
    }
    await using renewed = await started.client('UDP', secrets.second)
    await untilTrue(async () => codeOf(await renewed.ask(methods.allocate, udp)) === 0)
    await using late = await started.client()
    expect(codeOf(await late.ask(methods.allocate, udp))).toBe(401)
    expect(codeOf(await old.ask(methods.refresh))).toBe(0)
    await write(started.file, { peers: { deny: ['nonsense'] } })
    await expect(started.relay.reload()).rejects.toThrow(/peers\.deny\.0/)
    expect(codeOf(await old.ask(methods.createPermission, peer('127.0.0.2:1')))).toBe(0)
    await write(started.file, { peers: { deny: ['127.0.0.2'] } })
    await started.relay.reload()
    // The processes take over what was read one by one.
    await untilTrue(
      async () => codeOf(await old.ask(methods.createPermission, peer('127.0.0.2:1'))) === 403,
    )
  })

  it('drains: nothing new begins, what runs goes on, and the end comes with the last', async () => {
    await using started = await start()
    await using client = await started.client()
    expect(codeOf(await client.ask(methods.allocate, udp))).toBe(0)
    let isEnded = false
    void started.relay.ended.then(() => {
      isEnded = true
    })
    started.relay.drain()
    await using late = await started.client()
    await untilTrue(async () => codeOf(await late.ask(methods.allocate, udp)) === 508)
    expect(codeOf(await client.ask(methods.refresh))).toBe(0)
    expect(isEnded).toBe(false)
    await client.ask(methods.refresh, release)
    await started.relay.ended
  })

  it('reads figures and commands over their sockets', async () => {
    await using started = await start()
    await using client = await started.client()
    await client.ask(methods.allocate, udp)
    await using operator = await serveOperator({ address: '127.0.0.1', port: 0 }, started.relay)
    const at = `http://127.0.0.1:${String(operator.port)}`
    const metrics = await (await fetch(`${at}/metrics`)).text()
    expect(metrics).toContain('turn_total_allocations{type="UDP"} 1\n')
    expect(metrics).toMatch(/turn_requests_total\{method="allocate",code="401"\} 1\n/)
    expect(metrics).not.toContain('alice')
    expect((await fetch(`${at}/other`)).status).toBe(404)
    expect(await (await fetch(`${at}/status`)).json()).toMatchObject({ isDraining: false })

    const path = join(folder, 'control.sock')
    await using _control = await serveControl(path, started.relay)
    expect(JSON.parse(await sendControl(path, 'status'))).toMatchObject({ restarts: 0 })
    expect(JSON.parse(await sendControl(path, 'drain'))).toMatchObject({ isDraining: true })
    const socket = connect(path)
    socket.end(`${'x'.repeat(1000)}\n`)
    expect(await text(socket)).toMatch(/the commands are/)
    expect(renderMetrics(await started.relay.figures())).toContain('turn_draining 1\n')
  })
})

describe.runIf(hasMmsg)('a process that dies', () => {
  it('is replaced on its old socket, and the clients of the others notice nothing', async () => {
    await using started = await start({ workers: 2 })
    const clients: RealClient[] = []
    for (let count = 0; count < 16; count += 1) clients.push(await started.client())
    for (const client of clients) expect(codeOf(await client.ask(methods.allocate, udp))).toBe(0)
    const pid = started.relay.processes()['udp-0'] ?? 0
    process.kill(pid, 'SIGKILL')
    await untilTrue(async () => {
      const { restarts } = await started.relay.figures()
      return restarts === 1 && (started.relay.processes()['udp-0'] ?? pid) !== pid
    })
    const codes: (number | undefined)[] = []
    for (const client of clients) codes.push(codeOf(await client.ask(methods.refresh)))
    // Each client came back to the process it had: some of them to the new one, which knows them not.
    expect(new Set(codes)).toEqual(new Set([0, 437]))
    for (const [at, client] of clients.entries()) {
      const code = codeOf(await client.ask(methods.allocate, udp))
      expect(code).toBe(codes[at] === 0 ? 437 : 0)
    }
    const { UDP } = allocationsOf(await started.relay.figures())
    expect(UDP).toBe(16)
    for (const client of clients) await client[Symbol.asyncDispose]()
  })

  it('gives back what its users held of their quotas', async () => {
    await using started = await start({ workers: 2, limits: { allocationsPerUser: 4 } })
    const codes = new Map<number | undefined, number>()
    const clients: RealClient[] = []
    for (let count = 0; count < 8; count += 1) {
      const client = await started.client()
      clients.push(client)
      const code = codeOf(await client.ask(methods.allocate, udp))
      codes.set(code, (codes.get(code) ?? 0) + 1)
      // Processes tell one another what they hold a few times a second.
      await wait(300)
    }
    // One more at most on a machine so busy that the word comes late.
    const given = codes.get(0) ?? 0
    expect([4, 5]).toContain(given)
    expect(codes.get(486)).toBe(8 - given)
    for (const name of ['udp-0', 'udp-1'])
      process.kill(started.relay.processes()[name] ?? 0, 'SIGKILL')
    await untilTrue(async () => {
      const { restarts, workers } = await started.relay.figures()
      return restarts === 2 && workers.length === 2
    })
    await using again = await started.client()
    expect(codeOf(await again.ask(methods.allocate, udp))).toBe(0)
    for (const client of clients) await client[Symbol.asyncDispose]()
  })
})

it('an answered Binding says that a relay serves, silence that none does', async () => {
  await using started = await start()
  const [at] = started.relay.listeners
  if (at === undefined) throw new Error('nothing listens')
  expect(await waitForBinding(at, 60_000)).toBe(true)
  expect(await waitForBinding({ address: '127.0.0.3', port: at.port }, 300)).toBe(false)
})

describe('the command', () => {
  const main = fileURLToPath(new URL('../main.mjs', import.meta.url))
  async function run(...args: string[]): Promise<{ code: number; out: string; talk: string }> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args])
    const [out, talk, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ])
    return { code, out, talk }
  }

  it('explains itself, checks a file, and refuses what is wrong', async () => {
    const file = join(folder, 'checked.yaml')
    await write(file)
    expect(await run('--help')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/--config/) as string,
    })
    expect(await run('--config', file, '--check')).toMatchObject({ code: 0 })
    expect(await run('--settings')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/realm/) as string,
    })
    expect(await run()).toMatchObject({ code: 2 })
    expect(await run('--config', file, 'dance')).toMatchObject({ code: 2 })
    expect(await run('--config', join(folder, 'absent.yaml'))).toMatchObject({
      code: 2,
      talk: expect.stringMatching(/cannot be read/) as string,
    })
  })

  function startCommand(file: string) {
    const options = ['--disable-warning=ExperimentalWarning', main, '--config', file]
    const child = spawn(process.execPath, options)
    let talk = ''
    child.stderr.on('data', (chunk: Buffer) => {
      talk += chunk.toString()
    })
    return { child, talk: () => talk }
  }

  it('runs until it is told to end, and drains on its signal', async () => {
    const file = join(folder, 'run.yaml')
    await write(file, { log: { level: 'info' } })
    for (const signal of ['SIGTERM', 'SIGUSR1'] as const) {
      const { child, talk } = startCommand(file)
      await untilTrue(() => talk().includes('"ready"'))
      child.kill(signal)
      const [code] = (await once(child, 'close')) as [number]
      expect(code).toBe(0)
      expect(talk()).toContain(signal === 'SIGTERM' ? '"stopping"' : '"drained"')
    }
    expect(await readFile(file, 'utf8')).toContain('udpPort: 0')
  })

  it.runIf(process.platform === 'linux')('hears signals that come before it is ready', async () => {
    const file = join(folder, 'early.yaml')
    await write(file, { log: { level: 'info' }, listen: { tcpPort: 0 } })
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGTERM'] as const) {
      const { child, talk } = startCommand(file)
      // Its processes are there and load their program: the files have been read.
      const pid = String(child.pid)
      await untilTrue(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1') !== '')
      const sentMs = performance.now()
      child.kill(signal)
      if (signal === 'SIGHUP') {
        await untilTrue(() => talk().includes('"reloaded"'))
        child.kill('SIGTERM')
      }
      const [code] = (await once(child, 'close')) as [number]
      expect(code).toBe(0)
      expect(talk().includes('"ready"')).toBe(signal !== 'SIGTERM')
      // Each process is told and ends, none has to be killed.
      if (signal === 'SIGTERM') expect(performance.now() - sentMs).toBeLessThan(4900)
    }
  })
})
