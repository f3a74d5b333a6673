import type { Etcd3 } from 'etcd3'
import type { Logger } from 'pino'
import type { Clock } from '../../platform/clock.ts'
import type { Dependencies, Dependency } from '../../platform/dependencies.ts'
import type { Ids } from '../../platform/ids.ts'
import type { Instance, Registry } from '../../ports/registry.ts'
import { connectEtcd, etcdOutage, type EtcdCluster, type EtcdConnection } from './cluster.ts'
import { createLocks, type Locks } from './locks.ts'
import { openSession } from './session.ts'
import { createView, formatInstance, parseInstance, type View } from './view.ts'

export interface EtcdOptions extends EtcdConnection {
  /** Before all keys of this backend. */
  readonly prefix: string
  /** A process that died is known by all after so long. */
  readonly leaseSeconds: number
}

/** Between whole readings, which mend what a watch on a member that was cut off has missed. */
const readEveryMs = 30_000
const againMs = 500

/**
 * Who is where, and locks, in etcd: an instance is a key under the lease of its process. While etcd
 * is away the last view holds, own instances included, and `lock` waits.
 */
export async function openEtcdRegistry(
  options: EtcdOptions,
  deps: {
    readonly clock: Clock
    readonly ids: Ids
    readonly log: Logger
    readonly dependencies: Dependencies
  },
): Promise<Registry> {
  const { prefix, leaseSeconds } = options
  const { clock, ids, log } = deps
  const cluster = await connectEtcd(options)
  const dependency = deps.dependencies.add({
    name: 'etcd (registry)',
    need: 'to start',
    outageOf: etcdOutage,
    limits: { timeoutMs: 3500, failuresToBreak: 3 },
    probe: async (signal) => {
      await cluster.call(
        (member, limit) => member.kv.range({ key: Buffer.from(prefix), count_only: true }, limit),
        signal,
      )
    },
  })
  const watchers = new Map<string, Set<(view: readonly Instance[]) => void>>()
  const session = openSession({ cluster, dependency, clock, leaseSeconds })
  const view = createView({
    nowMs: () => clock.monotonicMs(),
    isInDoubt: () => session.isInDoubt(),
    graceMs: leaseSeconds * 1000,
    changed(service) {
      for (const changed of watchers.get(service) ?? []) changed(view.of(service))
    },
  })
  const locks = createLocks({ cluster, dependency, session, clock, ids, prefix })
  const stopping = new AbortController()
  const parts = { cluster, dependency, clock, log, view, locks, prefix }
  const following = Promise.all([
    follow(parts, stopping.signal),
    expireKept(parts, stopping.signal),
  ])
  const keyOf = ({ service, id }: Instance): string => `${prefix}instances/${service}/${id}`

  return {
    async register(instance) {
      const key = keyOf(instance)
      const announce = (isDraining: boolean): Promise<void> => {
        const now = { ...instance, isDraining }
        view.setOwn(key, now)
        session.set(key, formatInstance(now))
        return session.settle()
      }
      await announce(instance.isDraining)
      return {
        setDraining: () => announce(true),
        async [Symbol.asyncDispose]() {
          view.deleteOwn(key)
          session.delete(key)
          await session.settle()
        },
      }
    },
    instances: (service) => view.of(service),
    watch(service, changed, signal) {
      if (signal.aborted) return
      const set = watchers.get(service) ?? new Set()
      watchers.set(service, set)
      set.add(changed)
      signal.addEventListener('abort', () => set.delete(changed), { once: true })
      changed(view.of(service))
    },
    lock: (name, signal) => locks.take(name, signal),
    async [Symbol.asyncDispose]() {
      await locks[Symbol.asyncDispose]()
      stopping.abort()
      await Promise.all([session[Symbol.asyncDispose](), following])
      watchers.clear()
      cluster.close()
    },
  }
}

interface Following {
  readonly cluster: EtcdCluster
  readonly dependency: Dependency
  readonly clock: Clock
  readonly log: Logger
  readonly view: View
  readonly locks: Locks
  readonly prefix: string
}

/** Keeps the view: reads everything, then follows the changes until the stream breaks, and again. */
async function follow(deps: Following, signal: AbortSignal): Promise<void> {
  const { cluster, clock, log, view, locks } = deps
  while (!signal.aborted) {
    const pause = new AbortController()
    const until = AbortSignal.any([signal, pause.signal])
    try {
      const { entries, revision } = await readAll(deps)
      view.replace(entries)
      locks.noteRelease()
      await Promise.race([
        watchOnce(deps, cluster.member, revision, until),
        clock.sleep(readEveryMs, until),
      ])
    } catch (err) {
      if (signal.aborted) return
      log.debug({ err }, 'the watch on the registry has ended')
      await clock.sleep(againMs, signal).catch(() => undefined)
    } finally {
      pause.abort()
    }
  }
}

/** In doubt, who vanished is kept for a while; the while has to end. */
async function expireKept({ view, clock }: Following, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    view.expire()
    await clock.sleep(1000, signal).catch(() => undefined)
  }
}

async function readAll({ cluster, dependency, prefix }: Following): Promise<{
  entries: Map<string, Instance>
  revision: string
}> {
  const range = prefixRange(`${prefix}instances/`)
  const { kvs, header } = await dependency.attempt(
    { what: 'read who is where', retries: 1 },
    (signal) => cluster.call((member, limit) => member.kv.range(range, limit), signal),
  )
  const entries = new Map<string, Instance>()
  for (const { key, value } of kvs) {
    const instance = parseInstance(value)
    if (instance !== undefined) entries.set(key.toString(), instance)
  }
  return { entries, revision: header.revision }
}

/** Applies changes after `revision` until `signal` aborts; rejects when the stream ends otherwise. */
async function watchOnce(
  { view, locks, prefix, cluster }: Following,
  member: Etcd3,
  revision: string,
  signal: AbortSignal,
): Promise<void> {
  const stream = await member.watchClient.watch()
  const ended = Promise.withResolvers<void>()
  const stop = (): void => {
    stream.cancel()
    ended.resolve()
  }
  stream.on('error', (error) => {
    if (!signal.aborted) cluster.turnAwayFrom(member)
    ended.reject(error)
  })
  stream.on('end', () => ended.reject(new Error('the stream ended')))
  stream.on('data', ({ canceled, cancel_reason, events }) => {
    if (canceled) {
      ended.reject(new Error(`the watch was cancelled: ${cancel_reason}`))
      return
    }
    for (const { type, kv } of events) {
      const key = kv.key.toString()
      if (key.startsWith(`${prefix}locks/`)) {
        if (type === 'Delete') locks.noteRelease()
      } else if (key.startsWith(`${prefix}instances/`)) {
        const instance = type === 'Delete' ? undefined : parseInstance(kv.value)
        if (instance === undefined) view.delete(key)
        else view.set(key, instance)
      }
    }
  })
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  else {
    stream.write({
      create_request: { ...prefixRange(prefix), start_revision: String(BigInt(revision) + 1n) },
    })
  }
  try {
    await ended.promise
  } finally {
    signal.removeEventListener('abort', stop)
    stream.cancel()
  }
}

/** All keys that begin with it. */
function prefixRange(prefix: string): { key: Buffer; range_end: Buffer } {
  const key = Buffer.from(prefix)
  const end = Buffer.from(key)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return { key, range_end: end }
}
