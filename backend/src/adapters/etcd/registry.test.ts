import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd3 } from 'etcd3'
import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { startLossyProxy } from '../../../../test/support/lossy-proxy.ts'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies, type Dependencies } from '../../platform/dependencies.ts'
import { systemIds } from '../../platform/ids.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { registryContract } from '../../ports/registry.contract.ts'
import type { Instance, Registry } from '../../ports/registry.ts'
import { openEtcdRegistry } from './registry.ts'

const hosts = process.env['TEST_ETCD']?.split(',') ?? []
const prefix = `/test/${randomUUID()}/`
const leaseSeconds = 3
const never = new AbortController().signal

type Opened = Registry & { readonly dependencies: Dependencies }

async function open(at: readonly string[] = hosts): Promise<Opened> {
  const clock = systemClock()
  const log = pino({ level: 'silent' })
  const dependencies = createDependencies({ clock, log, metrics: createMetrics('test') })
  const registry = await openEtcdRegistry(
    { hosts: at, prefix, leaseSeconds },
    { clock, ids: systemIds(), log, dependencies },
  )
  return {
    ...registry,
    dependencies,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]()
      await dependencies[Symbol.asyncDispose]()
    },
  }
}

const newInstance = (): Instance => ({
  service: `service-${randomUUID()}`,
  id: randomUUID(),
  address: 'http://10.0.0.1:4000',
  isDraining: false,
})
const patience = { timeout: 15_000, interval: 50 }

describe.skipIf(hosts.length === 0)('etcd, named by TEST_ETCD', () => {
  registryContract(open)

  it('lets processes see one another, and forgets who died without a word', async () => {
    await using proxy = await startLossyProxy(hosts[0] ?? '')
    await using watcher = await open()
    const one = newInstance()
    await using mortal = await open([`http://${proxy.address}`])
    await mortal.register(one)
    await vi.waitUntil(() => watcher.instances(one.service).length === 1, patience)
    expect(watcher.instances(one.service)).toEqual([one])
    proxy.cut()
    await vi.waitUntil(() => watcher.instances(one.service).length === 0, patience)
  })

  it.each(['cut', 'freeze'] as const)(
    'keeps the last view while etcd is away (%s), and follows again afterwards',
    async (failure) => {
      await using proxy = await startLossyProxy(hosts[0] ?? '')
      await using watcher = await open([`http://${proxy.address}`])
      await using other = await open()
      const [one, own] = [newInstance(), newInstance()]
      await using handle = await other.register(one)
      await watcher.register(own)
      await vi.waitUntil(() => watcher.instances(one.service).length === 1, patience)
      await vi.waitUntil(() => other.instances(own.service).length === 1, patience)
      proxy[failure]()
      // Until our lease has run out, and longer than anybody waits for an answer.
      await vi.waitUntil(() => other.instances(own.service).length === 0, patience)
      await vi.waitUntil(() => watcher.dependencies.degraded().length === 1, patience)
      expect(watcher.instances(one.service)).toEqual([one])
      expect(watcher.instances(own.service)).toEqual([own])
      await handle.setDraining()
      proxy.mend()
      await vi.waitUntil(() => watcher.instances(one.service)[0]?.isDraining === true, patience)
      await vi.waitUntil(() => other.instances(own.service).length === 1, patience)
      expect(watcher.dependencies.degraded()).toEqual([])
    },
    40_000,
  )

  it('starts without etcd, says that it waits, and announces itself by itself', async () => {
    await using proxy = await startLossyProxy(hosts[0] ?? '')
    proxy.cut()
    await using late = await open([`http://${proxy.address}`])
    await using other = await open()
    const one = newInstance()
    await late.register(one)
    expect(late.instances(one.service)).toEqual([one])
    await vi.waitUntil(() => late.dependencies.missing().length === 1, patience)
    expect(late.dependencies.missing()[0]).toMatch(/^etcd \(registry\): /)
    proxy.mend()
    await vi.waitUntil(() => other.instances(one.service).length === 1, patience)
    await vi.waitUntil(() => late.dependencies.missing().length === 0, patience)
  }, 120_000)

  it('leaves a successor of the same name in its place', async () => {
    await using before = await open()
    await using after = await open()
    const one = newInstance()
    const moved = { ...one, address: 'http://10.0.0.2:4000' }
    const handle = await before.register(one)
    await after.register(moved)
    await handle[Symbol.asyncDispose]()
    await using third = await open()
    await vi.waitUntil(() => third.instances(one.service).length === 1, patience)
    expect(third.instances(one.service)).toEqual([moved])
  })

  it('announces itself again when etcd has lost its lease', async () => {
    await using registry = await open()
    await using other = await open()
    const one = newInstance()
    await registry.register(one)
    const lock = await registry.lock(randomUUID(), never)
    await using client = disposable(new Etcd3({ hosts: [...hosts] }))
    const key = Buffer.from(`${prefix}instances/${one.service}/${one.id}`)
    const leaseNow = async (): Promise<string | undefined> =>
      (await client.kv.range({ key })).kvs[0]?.lease
    const lease = await leaseNow()
    expect(lease).toBeDefined()
    await client.leaseClient.leaseRevoke({ ID: lease ?? '0' })
    await vi.waitUntil(() => lock.signal.aborted, patience)
    await vi.waitUntil(async () => ![undefined, lease].includes(await leaseNow()), patience)
    await vi.waitUntil(() => other.instances(one.service).length === 1, patience)
  }, 120_000)

  it('gives a lock to one process at a time, with tokens that rise', async () => {
    await using one = await open()
    await using two = await open()
    const name = randomUUID()
    const tokens: bigint[] = []
    let holders = 0
    const work = async (registry: Registry): Promise<void> => {
      await using lock = await registry.lock(name, never)
      holders += 1
      expect(holders).toBe(1)
      tokens.push(lock.fencingToken)
      await sleep(20)
      holders -= 1
    }
    await Promise.all([one, two, one, two].map(work))
    expect(tokens).toEqual(tokens.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(new Set(tokens).size).toBe(4)
  })

  it('tells a holder that was cut off before another one gets the lock', async () => {
    await using proxy = await startLossyProxy(hosts[0] ?? '')
    await using lonely = await open([`http://${proxy.address}`])
    await using other = await open()
    const name = randomUUID()
    const lock = await lonely.lock(name, never)
    proxy.freeze()
    const taken = await other.lock(name, never)
    expect(lock.signal.aborted).toBe(true)
    expect(taken.fencingToken).toBeGreaterThan(lock.fencingToken)
    proxy.mend()
    await lock[Symbol.asyncDispose]()
    const third = lonely.lock(name, AbortSignal.timeout(1500))
    await expect(third).rejects.toThrow(/timeout/)
    expect(taken.signal.aborted).toBe(false)
    await taken[Symbol.asyncDispose]()
    await using _last = await lonely.lock(name, never)
  }, 120_000)

  it('frees a lock that was let go while etcd was away', async () => {
    await using proxy = await startLossyProxy(hosts[0] ?? '')
    await using one = await open([`http://${proxy.address}`])
    await using other = await open()
    const name = randomUUID()
    const lock = await one.lock(name, never)
    proxy.cut()
    const released = lock[Symbol.asyncDispose]()
    await sleep(500)
    proxy.mend()
    await released
    await using _next = await other.lock(name, never)
  }, 120_000)

  it('has tokens that rise even when etcd has lost them', async () => {
    await using registry = await open()
    const name = randomUUID()
    const tokens: bigint[] = []
    for (let round = 0; round < 2; round += 1) {
      await using lock = await registry.lock(name, never)
      tokens.push(lock.fencingToken)
      await using client = disposable(new Etcd3({ hosts: [...hosts] }))
      await client.delete().key(`${prefix}fences/${name}`).exec()
    }
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0n)
  })

  it('goes on with the other members when one is frozen', async () => {
    await using frozen = await startLossyProxy(hosts[0] ?? '')
    await using well = await startLossyProxy(hosts[0] ?? '')
    await using registry = await open([frozen, well].map(({ address }) => `http://${address}`))
    await using other = await open()
    const [one, two] = [newInstance(), newInstance()]
    await registry.register(one)
    frozen.freeze()
    await registry.register(two)
    for (const { service } of [one, two]) {
      await vi.waitUntil(() => other.instances(service).length === 1, patience)
    }
    await sleep(leaseSeconds * 1500)
    expect(other.instances(one.service)).toHaveLength(1)
    const third = newInstance()
    await other.register(third)
    await vi.waitUntil(() => registry.instances(third.service).length === 1, patience)
  }, 120_000)
})

function disposable(client: Etcd3): Etcd3 & AsyncDisposable {
  return Object.assign(client, { [Symbol.asyncDispose]: async () => client.close() })
}
