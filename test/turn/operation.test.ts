import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { openClient, type TurnClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { raisedLimits, startRelay, type Relay } from './support/relay.ts'
import { openFiles, processTree, residentKilobytes } from './support/server-child.ts'
import { attributes, find, methods, requestedTransport, restCredentials } from './support/stun.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

const patient = { timeout: 20_000, interval: 100 }

async function carries(client: TurnClient): Promise<boolean> {
  await using peer = await openPeer('127.0.0.2', { isEcho: true })
  await client.permit('127.0.0.2')
  client.sendTo(peer.address, Buffer.from('still here'))
  return (await client.next())?.payload.toString() === 'still here'
}

async function codeForNewcomer(relay: Relay): Promise<number | undefined> {
  await using client = await openClient(relay)
  await client.greet()
  const answer = await client.ask(methods.allocate, [requestedTransport()])
  if (answer?.code === undefined) await client.refresh(0)
  return answer?.code
}

describe('an operator', () => {
  it('drains: 508 to newcomers, calls go on, and the process ends with the last of them', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay)
    await client.allocate()
    relay.child.kill('SIGUSR1')
    await expect.poll(() => codeForNewcomer(relay), patient).toBe(508)
    expect((await client.refresh()).code).toBeUndefined()
    expect(await carries(client)).toBe(true)
    expect(relay.child.hasEnded()).toBe(false)
    await client.refresh(0)
    expect(await relay.child.exit).toBe(0)
  })

  it('drains: newcomers are sent to another relay where one is named', async () => {
    await using relay = await startRelay({
      limits: raisedLimits,
      config: { drain: { alternates: [{ address: '127.0.0.9', port: 3478, transport: 'UDP' }] } },
    })
    await using client = await openClient(relay)
    await client.allocate()
    relay.child.kill('SIGUSR1')
    await expect.poll(() => codeForNewcomer(relay), patient).toBe(300)
    await using late = await openClient(relay)
    await late.greet()
    const answer = await late.ask(methods.allocate, [requestedTransport()])
    expect(answer && find(answer.message, attributes.alternateServer)?.toString('hex')).toBe(
      '00010d967f000009',
    )
  })

  it('stops it with SIGTERM, and it ends with 0', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay)
    await client.allocate()
    relay.child.kill('SIGTERM')
    expect(await relay.child.exit).toBe(0)
  })

  it('reloads secrets and peer lists; calls go on, but not to peers that are refused now', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay)
    await using peer = await openPeer('127.0.0.2')
    await client.allocate()
    await client.bind(0x4000, peer.address)
    expect(await carries(client)).toBe(true)

    await writeFile(join(relay.folder, 'secret'), 'another-secret\n')
    const config = await readFile(relay.configFile, 'utf8')
    await writeFile(
      relay.configFile,
      config.replace('loopbackForTests: true', 'loopbackForTests: true\n  deny: ["127.0.0.2"]'),
    )
    relay.child.kill('SIGHUP')
    await using newcomer = await openClient(relay, {
      credentials: restCredentials('another-secret', 'newcomer'),
    })
    await expect.poll(() => newcomer.allocate().catch(() => undefined), patient).toBeDefined()
    await using old = await openClient(relay, { credentials: relay.credentialsFor(5) })
    await expect(old.allocate()).rejects.toThrow('401')
    expect((await client.permit('127.0.0.2')).code).toBe(403)
    client.sendThrough(0x4000, Buffer.from('too late'))
    expect(await peer.next(300)).toBeUndefined()
    expect((await client.permit('127.0.0.3')).code).toBeUndefined()
  })

  it('keeps what it had when a reload finds the files broken', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay)
    await client.allocate()
    await writeFile(relay.configFile, 'credentials: [')
    relay.child.kill('SIGHUP')
    await expect.poll(() => relay.child.output(), patient).toContain('nothing was reloaded')
    expect(await carries(client)).toBe(true)
    await using newcomer = await openClient(relay)
    expect(await newcomer.allocate()).toBeDefined()
  })

  it('loses the clients of a worker that dies, and no others; it is replaced', async () => {
    await using relay = await startRelay({ limits: raisedLimits, workers: 2 })
    const clients: TurnClient[] = []
    for (let index = 0; index < 16; index += 1) {
      const client = await openClient(relay, { credentials: relay.credentialsFor(index) })
      await client.allocate()
      clients.push(client)
    }
    const status = (await (
      await fetch(`http://127.0.0.1:${String(relay.metricsPort)}/status`)
    ).json()) as { processes: Record<string, number> }
    const [victim] = Object.entries(status.processes).find(([name]) => name.endsWith('0')) ?? []
    const pid = victim === undefined ? undefined : status.processes[victim]
    expect(pid).toBeDefined()
    if (pid === undefined) return
    process.kill(pid, 'SIGKILL')

    await expect
      .poll(
        async () => {
          const codes = await Promise.all(
            clients.map(async (client) => (await client.refresh()).code),
          )
          return codes.every((code) => code === undefined || code === 437 || code === 438)
        },
        { timeout: 30_000, interval: 500 },
      )
      .toBe(true)
    const codes = await Promise.all(clients.map(async (client) => (await client.refresh()).code))
    const survivors = clients.filter((_, index) => codes[index] === undefined)
    expect(survivors.length).toBeGreaterThan(0)
    expect(survivors.length).toBeLessThan(clients.length)
    for (const survivor of survivors) expect(await carries(survivor)).toBe(true)
    for (const [index, client] of clients.entries()) {
      if (codes[index] === undefined) continue
      expect(await client.allocate()).toBeDefined()
    }
    for (const client of clients) await client[Symbol.asyncDispose]()
    expect(relay.child.hasEnded()).toBe(false)
  })
})

describe('after ten thousand allocations', () => {
  it('no file and no memory is left behind', { timeout: 180_000 }, async () => {
    // A small heap, so that what is left behind shows instead of waiting to be collected.
    await using relay = await startRelay({
      limits: raisedLimits,
      env: { NODE_OPTIONS: '--max-old-space-size=48' },
    })
    const pids = await processTree(relay.child.pid)
    const clients = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        openClient(relay, { credentials: relay.credentialsFor(index) }),
      ),
    )
    const cycle = async (client: TurnClient): Promise<void> => {
      await client.allocate()
      await client.bind(0x4000, { host: '127.0.0.2', port: 9 })
      await client.refresh(0)
    }
    const rounds = async (count: number): Promise<void> => {
      await Promise.all(
        clients.map(async (client) => {
          for (let round = 0; round < count; round += 1) await cycle(client)
        }),
      )
    }
    // The first thousand make what is kept for ever: compiled code, tables, slots.
    await rounds(20)
    const before = { files: await openFiles(pids), kilobytes: await residentKilobytes(pids) }
    await rounds(200)
    await expect.poll(() => openFiles(pids), patient).toBeLessThanOrEqual(before.files)
    expect((await residentKilobytes(pids)) - before.kilobytes).toBeLessThan(64 * 1024)
    expect(await processTree(relay.child.pid)).toEqual(pids)
    const metrics = await relay.metrics()
    expect(metrics.get('turn_total_allocations{type="UDP"}')).toBe(0)
    for (const client of clients) await client[Symbol.asyncDispose]()
  })
})
