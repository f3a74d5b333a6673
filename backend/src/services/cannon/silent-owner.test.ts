import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { Client } from '../../contract/endpoint.ts'
import { Unavailable } from '../../contract/error.ts'
import type { attachmentsApi, queueApi } from '../../contract/gundeck/attachments.ts'
import { shardCount, shardOf } from '../../contract/gundeck/ring.ts'
import type { ringApi } from '../../contract/gundeck/ring.ts'
import type { ConnectionId, NotificationId, UserId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { startServer } from '../../platform/http/server.ts'
import { createServeUpgrade } from '../../platform/http/upgrade.ts'
import { systemIds } from '../../platform/ids.ts'
import { ticksOfMs, timeUuid } from '../../platform/time-uuid.ts'
import { generatePrivateKey, publicKeyOf } from '../../platform/zauth/keys.ts'
import { createSigner } from '../../platform/zauth/signer.ts'
import { createVerifier } from '../../platform/zauth/verifier.ts'
import { CannonConfig, startCannon } from './index.ts'

const position = timeUuid(ticksOfMs(1000), new Uint8Array(8)) as NotificationId

/** What became of an upgrade: 101 or the status of a refusal, and later how the socket was closed. */
interface Opened {
  readonly status: number
  readonly closing: () => string | undefined
}

/** A cannon between two owners made of paper; of either one it may be cut off. */
async function stage() {
  const clock = fakeClock()
  const cutOff = new Set<string>()
  let isWithMinority = false
  const gundeckAt = (
    address: string,
  ): Client<typeof attachmentsApi & typeof queueApi & typeof ringApi> => ({
    async getRing() {
      if (cutOff.has(address)) throw new Unavailable('nobody answers there')
      return {
        status: 200,
        headers: {},
        body: {
          version: 1,
          owners: ['a', 'b'].map((name) => ({ id: `${name}/1`, address: name })),
          shards: Array.from({ length: shardCount }, (_, shard) =>
            shard < shardCount / 2 ? 0 : 1,
          ),
        },
      }
    },
    async exchangeAttachments({ body }) {
      if (cutOff.has(address)) throw new Unavailable('nobody answers there')
      return {
        status: 200,
        headers: {},
        body: {
          tenure: 'one',
          attached: body.attach.map(() => position),
          lost: [],
          ringVersion: 1,
          isConfirmed: !isWithMinority,
        },
      }
    },
    readInbox: () => Promise.reject(new Unavailable('nothing is read here')),
    openQueue: () => Promise.reject(new Unavailable('no queue is opened here')),
    acknowledge: () => Promise.reject(new Unavailable('nothing is acknowledged here')),
  })
  const platform = { clock, ids: systemIds(), log: pino({ level: 'silent' }) }
  const key = generatePrivateKey()
  const signer = createSigner({ privateKeys: [key] })
  const nowSeconds = (): number => Math.floor(clock.nowMs() / 1000)
  const cannon = await startCannon({
    // Nobody is closed for being slow to answer a ping.
    config: CannonConfig.parse({ pingSeconds: 600 }),
    platform,
    tokens: createVerifier({ publicKeys: [publicKeyOf(key)], nowSeconds, cacheSize: 10 }),
    gundeck: gundeckAt('any'),
    ownerAt: gundeckAt,
    address: 'here',
  })
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (_request, response) => response.writeHead(404).end(),
    upgrade: createServeUpgrade({ routes: cannon.sockets, platform, addressOf: () => '' }),
  })
  await clock.advance(1)

  function open(user: UserId): Promise<Opened> {
    const token = signer.sign({
      type: 'access',
      user,
      connection: '1' as ConnectionId,
      expiresAtSeconds: nowSeconds() + 900,
      isSession: false,
    })
    const url = `${server.url.replace('http', 'ws')}/await?access_token=${encodeURIComponent(token)}`
    const ws = new WebSocket(url)
    let closed: string | undefined
    ws.on('close', (code, reason) => (closed = `${String(code)} ${reason.toString()}`))
    ws.on('error', () => undefined)
    return new Promise((resolve) => {
      const closing = (): string | undefined => closed
      ws.on('unexpected-response', (_request, { statusCode = 0 }) => {
        resolve({ status: statusCode, closing })
      })
      ws.on('open', () => resolve({ status: 101, closing }))
    })
  }

  return {
    cannon,
    cutOff,
    meetMinority: (value: boolean) => void (isWithMinority = value),
    open,
    /** Also at the other end of the sockets. */
    async pass(seconds: number) {
      for (let passed = 0; passed < seconds; passed += 1) {
        await clock.advance(1000)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async [Symbol.asyncDispose]() {
      await cannon[Symbol.asyncDispose]()
      await server.close(0)
    },
  }
}

function userOf(owner: 'a' | 'b'): UserId {
  for (;;) {
    const user = randomUUID() as UserId
    if (shardOf(user) < shardCount / 2 === (owner === 'a')) return user
  }
}

const closedOf = (sockets: readonly Opened[]): number =>
  sockets.filter(({ closing }) => closing() !== undefined).length

it('refuses sockets of people whose owner was silent for five seconds, and is not ready', async () => {
  await using test = await stage()
  await test.pass(2)
  test.cutOff.add('a')
  await test.pass(3)
  expect(await test.cannon.missing()).toEqual([])
  await test.pass(3)
  expect(await test.cannon.missing()).toEqual(['gundeck'])
  expect((await test.open(userOf('a'))).status).toBe(503)
  expect((await test.open(userOf('b'))).status).toBe(101)
  test.cutOff.clear()
  await test.pass(2)
  expect(await test.cannon.missing()).toEqual([])
  expect((await test.open(userOf('a'))).status).toBe(101)
})

it('sends the sockets of a silent owner away over thirty seconds, and no others', async () => {
  await using test = await stage()
  const concerned: Opened[] = []
  for (let count = 0; count < 60; count += 1) concerned.push(await test.open(userOf('a')))
  const others = [await test.open(userOf('b')), await test.open(userOf('b'))]
  await test.pass(2)
  test.cutOff.add('a')
  await test.pass(4)
  expect(closedOf(concerned)).toBe(0)
  await test.pass(12)
  // Two a second, since the sixth second of silence at the latest.
  await expect.poll(() => closedOf(concerned)).toBeGreaterThanOrEqual(20)
  expect(closedOf(concerned)).toBeLessThanOrEqual(26)
  await test.pass(21)
  await expect.poll(() => closedOf(concerned)).toBe(60)
  expect(new Set(concerned.map(({ closing }) => closing()))).toEqual(new Set(['1001 reconnect']))
  expect(closedOf(others)).toBe(0)
})

it('keeps the sockets that are left when the owner is heard again', async () => {
  await using test = await stage()
  const sockets: Opened[] = []
  for (let count = 0; count < 60; count += 1) sockets.push(await test.open(userOf('a')))
  test.cutOff.add('a')
  await test.pass(10)
  test.cutOff.clear()
  await test.pass(2)
  await expect.poll(() => closedOf(sockets)).toBeGreaterThan(0)
  await test.pass(40)
  expect(closedOf(sockets)).toBeLessThan(20)
})

it('on the side of the minority sends everybody away, though its gundecks answer', async () => {
  await using test = await stage()
  const sockets = [await test.open(userOf('a')), await test.open(userOf('b'))]
  await test.pass(2)
  test.meetMinority(true)
  await test.pass(7)
  expect(await test.cannon.missing()).toEqual(['gundeck'])
  expect((await test.open(userOf('a'))).status).toBe(503)
  expect((await test.open(userOf('b'))).status).toBe(503)
  await test.pass(30)
  await expect.poll(() => closedOf(sockets)).toBe(2)
})
