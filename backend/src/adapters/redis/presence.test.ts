import { randomUUID } from 'node:crypto'
import { anything, array, assert, json, oneof, property, string } from 'fast-check'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { startLossyProxy } from '../../../../test/support/lossy-proxy.ts'
import { Unavailable } from '../../contract/error.ts'
import type { ConnectionId, UserId } from '../../contract/ids.ts'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies, type Dependencies } from '../../platform/dependencies.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { presenceContract } from '../../ports/presence.contract.ts'
import type { Presence, PresenceStore } from '../../ports/presence.ts'
import { redisOutage, type RedisConnection } from './connection.ts'
import { openRedisPresence, parsePresences } from './presence.ts'

const server = process.env['TEST_REDIS']?.split(',')[0]
const sentinels = process.env['TEST_SENTINEL']?.split(',')
const primaryName = process.env['TEST_SENTINEL_PRIMARY'] ?? 'tricord'
const prefix = `test:${randomUUID()}:`

function addressOf(text: string): { host: string; port: number } {
  const url = new URL(`redis://${text}`)
  return { host: url.hostname, port: Number(url.port) }
}

async function open(
  at: RedisConnection['at'],
): Promise<PresenceStore & { dependencies: Dependencies }> {
  const log = pino({ level: 'silent' })
  const dependencies = createDependencies({
    clock: systemClock(),
    log,
    metrics: createMetrics('test'),
  })
  const store = await openRedisPresence({ prefix, at }, { dependencies })
  return {
    ...store,
    dependencies,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await dependencies[Symbol.asyncDispose]()
    },
  }
}

/** Opened and connected. */
async function openReady(at: RedisConnection['at']): ReturnType<typeof open> {
  const store = await open(at)
  await vi.waitUntil(() => store.dependencies.degraded().length === 0, { timeout: 5000 })
  return store
}

const presence = (): Presence => ({
  user: randomUUID() as UserId,
  connection: 'c1' as ConnectionId,
  instance: 'cannon 1',
  sinceMs: 1_760_000_000_000,
})

describe.skipIf(server === undefined)('Redis, named by TEST_REDIS', () => {
  const atServer = (text = server ?? ''): RedisConnection['at'] => ({
    kind: 'server',
    address: addressOf(text),
  })
  presenceContract(() => openReady(atServer()))

  it('keeps presences while it is opened anew', async () => {
    const one = presence()
    {
      await using store = await openReady(atServer())
      await store.add(one, 100)
    }
    await using store = await openReady(atServer())
    expect(await store.list([one.user])).toEqual([one])
  })

  it('leaves nothing of a user whose presences are over', async () => {
    await using store = await openReady(atServer())
    const redis = new Redis({ ...addressOf(server ?? ''), lazyConnect: false })
    const one = presence()
    await store.add(one, 1)
    const key = `${prefix}presence:${one.user}`
    expect(await redis.pttl(key)).toBeGreaterThan(0)
    await vi.waitUntil(async () => (await redis.exists(key)) === 0, { timeout: 5000 })
    redis.disconnect()
  })

  it.each(['cut', 'freeze'] as const)(
    'fails in time while Redis is away (%s), and serves again by itself',
    async (failure) => {
      await using proxy = await startLossyProxy(`redis://${server ?? ''}`)
      await using store = await openReady(atServer(proxy.address))
      const one = presence()
      await store.add(one, 100)
      proxy[failure]()
      for (let call = 0; call < 30; call += 1) {
        await expect(store.list([one.user])).rejects.toThrow(Unavailable)
        await expect(store.add(one, 100)).rejects.toThrow(Unavailable)
      }
      expect(store.dependencies.missing()).toEqual([])
      await vi.waitUntil(() => store.dependencies.degraded().length === 1, { timeout: 8000 })
      proxy.mend()
      await vi.waitUntil(() => store.dependencies.degraded().length === 0, { timeout: 8000 })
      expect(await store.list([one.user])).toEqual([one])
    },
    40_000,
  )

  it('starts before Redis, and serves once it is there', async () => {
    await using proxy = await startLossyProxy(`redis://${server ?? ''}`)
    proxy.cut()
    await using store = await open(atServer(proxy.address))
    await vi.waitUntil(() => store.dependencies.degraded().length === 1, { timeout: 5000 })
    await expect(store.list([presence().user])).rejects.toThrow(Unavailable)
    proxy.mend()
    await vi.waitUntil(() => store.dependencies.degraded().length === 0, { timeout: 8000 })
    expect(await store.list([presence().user])).toEqual([])
  }, 120_000)
})

describe.skipIf(sentinels === undefined)('Redis behind Sentinel, named by TEST_SENTINEL', () => {
  const atSentinel: RedisConnection['at'] = {
    kind: 'sentinel',
    sentinels: (sentinels ?? []).map(addressOf),
    primaryName,
  }
  presenceContract(() => openReady(atSentinel))

  it('finds the primary though the first Sentinel is away', async () => {
    const away = { host: '127.0.0.1', port: 1 }
    await using store = await openReady({
      ...atSentinel,
      sentinels: [away, ...(sentinels ?? []).map(addressOf)],
    })
    expect(await store.list([presence().user])).toEqual([])
  })
})

it('makes presences of what it wrote, and nothing of anything else', () => {
  const one = presence()
  expect(parsePresences([JSON.stringify(one)])).toEqual([one])
  assert(
    property(oneof(anything(), array(oneof(json(), string()))), (texts) => {
      expect(parsePresences(texts)).toBeInstanceOf(Array)
    }),
  )
})

it('tells what Redis refused from what it answered', () => {
  const reply = (message: string): Error =>
    Object.assign(new Error(message), { name: 'ReplyError' })
  expect(redisOutage(reply('READONLY You cannot write'))).toBe('refused')
  expect(redisOutage(reply('NOAUTH Authentication required.'))).toBe('refused')
  expect(redisOutage(reply('WRONGTYPE Operation against a key'))).toBeUndefined()
  expect(redisOutage(new Error('Connection is closed.'))).toBe('lost')
})
