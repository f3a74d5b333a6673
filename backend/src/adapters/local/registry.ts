import type { Instance, Lock, Registry } from '../../ports/registry.ts'

/**
 * Who is where, known from the start: the services of one process, or a list from the
 * configuration. Locks hold within this process, which is all there is; their tokens follow the
 * time, so that they rise from one start to the next.
 *
 * @param listed Instances in other processes, by service; they never change.
 * @param nowMs Since 1970, with fractions.
 */
export function localRegistry(
  listed: readonly Instance[] = [],
  nowMs: () => number = () => performance.timeOrigin + performance.now(),
): Registry {
  const registered = new Map<string, Instance>()
  const watchers = new Map<string, Set<(view: readonly Instance[]) => void>>()
  const queues = new Map<string, Promise<void>>()
  const locks = new Set<AsyncDisposable>()
  let lastToken = 0n

  const keyOf = ({ service, id }: Instance): string => `${service} ${id}`
  /** One that is listed and registers itself is there once, as it says of itself. */
  const view = (service: string): Instance[] => {
    const others = listed.filter((instance) => !registered.has(keyOf(instance)))
    return [...others, ...registered.values()].filter((instance) => instance.service === service)
  }
  const tell = (service: string): void => {
    for (const changed of watchers.get(service) ?? []) changed(view(service))
  }

  return {
    async register(instance) {
      const key = keyOf(instance)
      registered.set(key, instance)
      tell(instance.service)
      return {
        async setDraining() {
          registered.set(key, { ...instance, isDraining: true })
          tell(instance.service)
        },
        async [Symbol.asyncDispose]() {
          registered.delete(key)
          tell(instance.service)
        },
      }
    },
    instances: view,
    watch(service, changed, signal) {
      if (signal.aborted) return
      const set = watchers.get(service) ?? new Set()
      watchers.set(service, set)
      set.add(changed)
      signal.addEventListener('abort', () => set.delete(changed), { once: true })
      changed(view(service))
    },
    async lock(name, signal) {
      signal.throwIfAborted()
      const before = queues.get(name) ?? Promise.resolve()
      const held = Promise.withResolvers<void>()
      queues.set(
        name,
        before.then(() => held.promise),
      )
      const aborted = Promise.withResolvers<never>()
      const abort = (): void => {
        // Whoever waits behind must not wait for us.
        held.resolve()
        aborted.reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      try {
        await Promise.race([before, aborted.promise])
      } finally {
        signal.removeEventListener('abort', abort)
      }
      // What was written under a token of an earlier start must not refuse ours.
      const byTime = BigInt(Math.trunc(nowMs() * 1000))
      lastToken = lastToken >= byTime ? lastToken + 1n : byTime
      const lost = new AbortController()
      const lock: Lock = {
        fencingToken: lastToken,
        signal: lost.signal,
        async [Symbol.asyncDispose]() {
          lost.abort()
          locks.delete(lock)
          held.resolve()
        },
      }
      locks.add(lock)
      return lock
    },
    async [Symbol.asyncDispose]() {
      for (const lock of locks) await lock[Symbol.asyncDispose]()
      registered.clear()
      watchers.clear()
    },
  }
}
