import { randomUUID } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import type { Instance, Registry } from './registry.ts'

const instance = (changes: Partial<Instance> = {}): Instance => ({
  service: `service-${randomUUID()}`,
  id: randomUUID(),
  address: 'http://10.0.0.1:4000',
  isDraining: false,
  ...changes,
})
const never = new AbortController().signal

/** What every registry does. News may take a moment to arrive; locks never have two holders. */
export function registryContract(open: () => Promise<Registry>): void {
  describe('a registry', () => {
    it('announces instances until they are disposed', async () => {
      await using registry = await open()
      const one = instance()
      const two = { ...one, id: randomUUID(), address: 'http://10.0.0.2:4000' }
      const addresses = () => registry.instances(one.service).map(({ address }) => address)
      expect(registry.instances(one.service)).toEqual([])
      const handle = await registry.register(one)
      const other = await registry.register(two)
      await vi.waitUntil(() => addresses().length === 2)
      expect(addresses().toSorted()).toEqual([one.address, two.address])
      await handle[Symbol.asyncDispose]()
      await vi.waitUntil(() => addresses().length === 1)
      expect(registry.instances(one.service)).toEqual([two])
      await other[Symbol.asyncDispose]()
    })

    it('shows who is draining', async () => {
      await using registry = await open()
      const one = instance()
      await using handle = await registry.register(one)
      await handle.setDraining()
      await vi.waitUntil(() => registry.instances(one.service)[0]?.isDraining === true)
      expect(registry.instances(one.service)).toEqual([{ ...one, isDraining: true }])
    })

    it('tells watchers the view now and every change, until they stop', async () => {
      await using registry = await open()
      const one = instance()
      const watching = new AbortController()
      const views: (readonly Instance[])[] = []
      registry.watch(one.service, (view) => views.push(view), watching.signal)
      await vi.waitUntil(() => views.length > 0)
      expect(views.at(-1)).toEqual([])
      const handle = await registry.register(one)
      await vi.waitUntil(() => views.at(-1)?.length === 1)
      const unrelated = await registry.register(instance())
      await handle.setDraining()
      await vi.waitUntil(() => views.at(-1)?.[0]?.isDraining === true)
      watching.abort()
      const seen = views.length
      await handle[Symbol.asyncDispose]()
      await unrelated[Symbol.asyncDispose]()
      await vi.waitUntil(() => registry.instances(one.service).length === 0)
      expect(views).toHaveLength(seen)
    })

    it('lists an instance that registers again as it says of itself now', async () => {
      await using registry = await open()
      const one = instance()
      const first = await registry.register(one)
      const moved = { ...one, address: 'http://10.0.0.9:4000' }
      await using _second = await registry.register(moved)
      await vi.waitUntil(() => registry.instances(one.service)[0]?.address === moved.address)
      expect(registry.instances(one.service)).toEqual([moved])
      await first.setDraining()
      await vi.waitUntil(() => registry.instances(one.service)[0]?.isDraining === true)
    })

    it('keeps services apart, also where one name begins with the other', async () => {
      await using registry = await open()
      const one = instance()
      const other = instance({ service: `${one.service}-two` })
      await using _first = await registry.register(one)
      await using _second = await registry.register(other)
      await vi.waitUntil(() => registry.instances(other.service).length === 1)
      expect(registry.instances(one.service)).toEqual([one])
    })

    it('does not call a watcher that had stopped before', async () => {
      await using registry = await open()
      const one = instance()
      const changed = vi.fn<(view: readonly Instance[]) => void>()
      registry.watch(one.service, changed, AbortSignal.abort())
      await using _handle = await registry.register(one)
      await vi.waitUntil(() => registry.instances(one.service).length === 1)
      expect(changed).not.toHaveBeenCalled()
    })
  })

  describe('a lock', () => {
    it('has one holder at a time, and tokens that rise', async () => {
      await using registry = await open()
      const name = randomUUID()
      let holders = 0
      const tokens: bigint[] = []
      const work = async () => {
        await using lock = await registry.lock(name, never)
        holders += 1
        expect(holders).toBe(1)
        tokens.push(lock.fencingToken)
        await new Promise((resolve) => void setImmediate(resolve))
        expect(lock.signal.aborted).toBe(false)
        holders -= 1
      }
      await Promise.all([work(), work(), work(), work()])
      expect(tokens).toHaveLength(4)
      for (const [index, token] of tokens.entries()) {
        if (index > 0) expect(token).toBeGreaterThan(tokens[index - 1] ?? token)
      }
    })

    it('has tokens that rise from one opening of the registry to the next', async () => {
      const name = randomUUID()
      const tokens: bigint[] = []
      for (let opening = 0; opening < 3; opening += 1) {
        await using registry = await open()
        await using lock = await registry.lock(name, never)
        tokens.push(lock.fencingToken)
      }
      expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0n)
      expect(tokens[2]).toBeGreaterThan(tokens[1] ?? 0n)
    })

    it('is let go when its registry is closed, and tells its holder', async () => {
      const name = randomUUID()
      const registry = await open()
      const lock = await registry.lock(name, never)
      expect(lock.signal.aborted).toBe(false)
      await registry[Symbol.asyncDispose]()
      expect(lock.signal.aborted).toBe(true)
      await using other = await open()
      await using taken = await other.lock(name, never)
      expect(taken.fencingToken).toBeGreaterThan(lock.fencingToken)
    })

    it('may be let go twice, and is held by the next one only once', async () => {
      await using registry = await open()
      const name = randomUUID()
      const first = await registry.lock(name, never)
      await first[Symbol.asyncDispose]()
      await using second = await registry.lock(name, never)
      await first[Symbol.asyncDispose]()
      expect(first.signal.aborted).toBe(true)
      expect(second.signal.aborted).toBe(false)
      const third = registry.lock(name, AbortSignal.timeout(300))
      await expect(third).rejects.toThrow(/timeout/)
    })

    it('of one name does not wait for another', async () => {
      await using registry = await open()
      await using _one = await registry.lock(randomUUID(), never)
      await using _two = await registry.lock(randomUUID(), never)
    })

    it('is not taken by who stopped waiting, who also holds up nobody', async () => {
      await using registry = await open()
      const name = randomUUID()
      const holder = await registry.lock(name, never)
      const waiting = new AbortController()
      const stopped = registry.lock(name, waiting.signal)
      const next = registry.lock(name, never)
      const reason = new Error('enough')
      waiting.abort(reason)
      await expect(stopped).rejects.toBe(reason)
      await holder[Symbol.asyncDispose]()
      await using taken = await next
      expect(taken.fencingToken).toBeGreaterThan(holder.fencingToken)
      await expect(registry.lock(name, AbortSignal.abort(reason))).rejects.toBe(reason)
    })
  })
}
