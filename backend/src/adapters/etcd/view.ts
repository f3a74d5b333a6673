import { z } from 'zod'
import type { Instance } from '../../ports/registry.ts'

const StoredInstance = z.object({
  service: z.string(),
  id: z.string(),
  address: z.string(),
  isDraining: z.boolean(),
})

/** Undefined for what no Tricord wrote. */
export function parseInstance(value: Uint8Array): Instance | undefined {
  try {
    return StoredInstance.parse(JSON.parse(new TextDecoder().decode(value)))
  } catch {
    return undefined
  }
}

export function formatInstance({ service, id, address, isDraining }: Instance): string {
  return JSON.stringify({ service, id, address, isDraining })
}

/** Who is where, as this process last heard. */
export interface View {
  /** Instances of a service in a fixed order. */
  of(service: string): readonly Instance[]
  /** Instances of this process, which are there whatever others say. */
  setOwn(key: string, instance: Instance): void
  deleteOwn(key: string): void
  set(key: string, instance: Instance): void
  delete(key: string): void
  /** Takes over a whole reading. */
  replace(read: ReadonlyMap<string, Instance>): void
  /** Lets go of those whose grace is over. */
  expire(): void
}

/**
 * After an outage leases may have run out though their processes live. While that is in doubt,
 * who vanishes is kept for `graceMs`, in which the living announce themselves again.
 *
 * @param deps.changed Called with each service whose view is another one now
 */
export function createView(deps: {
  readonly nowMs: () => number
  readonly isInDoubt: () => boolean
  readonly graceMs: number
  readonly changed: (service: string) => void
}): View {
  const own = new Map<string, Instance>()
  const others = new Map<string, { instance: Instance; keptUntilMs: number | undefined }>()
  const told = new Map<string, readonly Instance[]>()

  function read(service: string): readonly Instance[] {
    const all = new Map<string, Instance>()
    for (const [key, { instance }] of others) all.set(key, instance)
    for (const [key, instance] of own) all.set(key, instance)
    return [...all]
      .filter(([, instance]) => instance.service === service)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, instance]) => instance)
  }

  function tell(services: Iterable<string | undefined>): void {
    for (const service of new Set(services)) {
      if (service === undefined) continue
      const now = read(service)
      if (JSON.stringify(now) === JSON.stringify(told.get(service) ?? [])) continue
      told.set(service, now)
      deps.changed(service)
    }
  }

  function vanish(key: string): void {
    const entry = others.get(key)
    if (entry === undefined) return
    if (entry.keptUntilMs !== undefined) return
    if (deps.isInDoubt()) entry.keptUntilMs = deps.nowMs() + deps.graceMs
    else others.delete(key)
  }

  return {
    of: (service) => told.get(service) ?? [],
    setOwn(key, instance) {
      own.set(key, instance)
      tell([instance.service])
    },
    deleteOwn(key) {
      const service = own.get(key)?.service
      own.delete(key)
      others.delete(key)
      tell([service])
    },
    set(key, instance) {
      others.set(key, { instance, keptUntilMs: undefined })
      tell([instance.service])
    },
    delete(key) {
      const service = others.get(key)?.instance.service
      vanish(key)
      tell([service])
    },
    replace(read) {
      const services = [...others.values()].map(({ instance }) => instance.service)
      for (const key of others.keys()) if (!read.has(key)) vanish(key)
      for (const [key, instance] of read) {
        others.set(key, { instance, keptUntilMs: undefined })
        services.push(instance.service)
      }
      tell(services)
    },
    expire() {
      const nowMs = deps.nowMs()
      const over = [...others].filter(([, { keptUntilMs }]) => (keptUntilMs ?? Infinity) <= nowMs)
      for (const [key] of over) others.delete(key)
      tell(over.map(([, { instance }]) => instance.service))
    },
  }
}
