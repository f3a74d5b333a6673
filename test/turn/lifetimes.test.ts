import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { raisedLimits, startRelay, type Relay } from './support/relay.ts'
import { openFiles, processTree } from './support/server-child.ts'
import {
  attributes,
  find,
  lifetime,
  methods,
  requestedTransport,
  type Message,
} from './support/stun.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

const secondsOf = (message: Message | undefined): number | undefined =>
  message && find(message, attributes.lifetime)?.readUInt32BE()

describe('an allocation lives as long as it was granted', () => {
  let relay: Relay

  beforeAll(async () => {
    relay = await startRelay({ limits: raisedLimits })
  })
  afterAll(() => relay[Symbol.asyncDispose]())

  it.for([
    ['nothing', undefined, 600],
    ['0 seconds', 0, 600],
    ['1 second', 1, 600],
    ['600 seconds', 600, 600],
    ['an hour', 3600, 3600],
    ['for ever', 0xffffffff, 3600],
  ] as const)('Allocate: who asks for %s gets what is allowed', async ([, asked, granted]) => {
    await using client = await openClient(relay)
    await client.greet()
    const answer = await client.ask(methods.allocate, [
      requestedTransport(),
      ...(asked === undefined ? [] : [lifetime(asked)]),
    ])
    expect(secondsOf(answer?.message)).toBe(granted)
  })

  it.for([
    ['nothing', undefined, 600],
    ['0 seconds', 0, 0],
    ['1 second', 1, 1],
    ['600 seconds', 600, 600],
    ['for ever', 0xffffffff, 3600],
  ] as const)('Refresh: who asks for %s gets what is allowed', async ([, asked, granted]) => {
    await using client = await openClient(relay)
    await client.allocate()
    const answer = await client.refresh(asked)
    expect(secondsOf(answer.message)).toBe(granted)
    expect(answer.isSigned).toBe(true)
  })

  it('ends at once with Refresh 0: 437 to all that follows, its socket closed', async () => {
    await using client = await openClient(relay)
    await using peer = await openPeer('127.0.0.2')
    const pids = await processTree(relay.child.pid)
    const before = await openFiles(pids)
    await client.allocate()
    expect(await openFiles(pids)).toBeGreaterThan(before)
    await client.bind(0x4000, peer.address)
    await client.refresh(0)
    expect((await client.refresh(600)).code).toBe(437)
    expect((await client.bind(0x4000, peer.address)).code).toBe(437)
    expect((await client.permit('127.0.0.2')).code).toBe(437)
    client.sendThrough(0x4000, Buffer.from('after the end'))
    await expect.poll(() => openFiles(pids), { timeout: 20_000 }).toBe(before)
    expect(peer.received).toEqual([])
  })

  it('ends after a Refresh of a second, without a word', async () => {
    await using client = await openClient(relay)
    const pids = await processTree(relay.child.pid)
    const before = await openFiles(pids)
    await client.allocate()
    await client.refresh(1)
    const isThere = async (): Promise<number | undefined> => (await client.permit('127.0.0.2')).code
    await expect.poll(isThere, { timeout: 20_000 }).toBe(437)
    expect(await openFiles(pids)).toBeLessThanOrEqual(before)
  })

  it('ends with its stream', async () => {
    const pids = await processTree(relay.child.pid)
    const before = await openFiles(pids)
    {
      await using client = await openClient(relay, { kind: 'tcp' })
      await client.allocate()
      expect(await openFiles(pids)).toBeGreaterThan(before)
      await sleep(10)
    }
    await expect.poll(() => openFiles(pids), { timeout: 20_000 }).toBe(before)
  })

  it('is not renewed by traffic or by requests that are refused', async () => {
    await using client = await openClient(relay)
    await using peer = await openPeer('127.0.0.2')
    await client.allocate()
    await client.bind(0x4000, peer.address)
    await client.refresh(2)
    for (let index = 0; index < 8; index += 1) {
      client.sendThrough(0x4000, Buffer.from('busy'))
      await sleep(500)
    }
    expect((await client.refresh(600)).code).toBe(437)
  })
})
