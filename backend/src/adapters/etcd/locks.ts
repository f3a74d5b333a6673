import type { Clock } from '../../platform/clock.ts'
import type { Dependency } from '../../platform/dependencies.ts'
import type { Ids } from '../../platform/ids.ts'
import type { Lock } from '../../ports/registry.ts'
import { Unavailable } from '../../contract/error.ts'
import type { EtcdCluster } from './cluster.ts'
import type { Session } from './session.ts'

export interface Locks extends AsyncDisposable {
  /** Waits for the lock until `signal` aborts, also through outages of etcd. */
  take(name: string, signal: AbortSignal): Promise<Lock>
  /** Some lock was let go by somebody: who waits looks again at once. */
  noteRelease(): void
}

/** Between looks at a lock that is held, when no news comes. */
const lookMs = 1000
const againMs = 500

/**
 * Locks are keys under the lease of this process, each with a fence beside it that is never
 * removed. A token is one more than the last one and at least the time in microseconds, so that
 * tokens rise also when etcd was set up anew or restored from an older backup.
 *
 * @param deps.prefix Of all keys here
 */
export function createLocks(deps: {
  readonly cluster: EtcdCluster
  readonly dependency: Dependency
  readonly session: Session
  readonly clock: Pick<Clock, 'nowMs' | 'sleep'>
  readonly ids: Pick<Ids, 'uuid'>
  readonly prefix: string
}): Locks {
  const { cluster, dependency, session, clock, ids, prefix } = deps
  const stopping = new AbortController()
  const cleaning = new Set<Promise<void>>()
  const held = new Set<Lock>()
  let released = Promise.withResolvers<void>()

  const lockKey = (name: string): Buffer => Buffer.from(`${prefix}locks/${name}`)
  const fenceKey = (name: string): Buffer => Buffer.from(`${prefix}fences/${name}`)

  /** `last` is the fence's token, `revision` that of its last change; 0 for none. */
  async function look(
    name: string,
  ): Promise<{ holder: string | undefined; last: bigint; revision: string }> {
    const { responses } = await dependency.attempt({ what: 'look at a lock' }, (signal) =>
      cluster.call(
        (member, limit) =>
          member.kv.txn(
            {
              success: [
                { request_range: { key: lockKey(name) } },
                { request_range: { key: fenceKey(name) } },
              ],
            },
            limit,
          ),
        signal,
      ),
    )
    const [lock, fence] = responses.map(({ response_range: { kvs } }) => kvs[0])
    return {
      holder: lock?.value.toString(),
      last: parseToken(fence?.value),
      revision: fence?.mod_revision ?? '0',
    }
  }

  /** Writes lock and fence if the fence is still as it was seen. */
  function change(
    what: string,
    name: string,
    seen: string,
    lock: { holder: string; lease: string } | undefined,
    token: bigint,
  ): Promise<unknown> {
    return dependency.attempt({ what, isWrite: true }, (signal) =>
      cluster.call(
        (member, limit) =>
          member.kv.txn(
            {
              compare: [
                { key: fenceKey(name), target: 'Mod', result: 'Equal', mod_revision: seen },
                ...(lock === undefined
                  ? []
                  : [
                      {
                        key: lockKey(name),
                        target: 'Create' as const,
                        result: 'Equal' as const,
                        create_revision: 0,
                      },
                    ]),
              ],
              success: [
                lock === undefined
                  ? { request_delete_range: { key: lockKey(name) } }
                  : {
                      request_put: {
                        key: lockKey(name),
                        value: Buffer.from(lock.holder),
                        lease: lock.lease,
                      },
                    },
                { request_put: { key: fenceKey(name), value: Buffer.from(String(token)) } },
              ],
            },
            limit,
          ),
        signal,
      ),
    )
  }

  /** One try: the token when `holder` has the lock now, however it came to have it. */
  async function tryOnce(
    name: string,
    holder: string,
  ): Promise<{ token: bigint; lost: AbortSignal } | undefined> {
    const lease = await session.lease()
    const before = await look(name)
    if (before.holder === undefined) {
      const token = nextToken(before.last, clock.nowMs())
      await change('take a lock', name, before.revision, { holder, lease: lease.id }, token).catch(
        passUnavailable,
      )
    } else if (before.holder !== holder) return undefined
    const after = before.holder === holder ? before : await look(name)
    return after.holder === holder ? { token: after.last, lost: lease.signal } : undefined
  }

  /**
   * Until the lock is surely not ours. The fence is written too, so that a try of ours that is
   * still on its way comes to nothing.
   */
  async function letGo(name: string, holder: string): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const { holder: now, last, revision } = await look(name)
        if (now !== undefined && now !== holder) return
        await change('let go of a lock', name, revision, undefined, last)
        if ((await look(name)).holder !== holder) return
      } catch {
        await clock.sleep(againMs, stopping.signal).catch(() => undefined)
      }
    }
  }

  function letGoInBackground(name: string, holder: string): Promise<void> {
    const work = letGo(name, holder).finally(() => cleaning.delete(work))
    cleaning.add(work)
    return work
  }

  function holdLock(
    name: string,
    holder: string,
    { token, lost }: { token: bigint; lost: AbortSignal },
  ): Lock {
    const ended = new AbortController()
    const lock: Lock = {
      fencingToken: token,
      signal: AbortSignal.any([lost, ended.signal]),
      async [Symbol.asyncDispose]() {
        ended.abort()
        held.delete(lock)
        const patience = new AbortController()
        await Promise.race([
          letGoInBackground(name, holder),
          clock.sleep(3 * lookMs, patience.signal).catch(() => undefined),
        ])
        patience.abort()
      },
    }
    held.add(lock)
    return lock
  }

  return {
    noteRelease() {
      released.resolve()
      released = Promise.withResolvers()
    },
    async take(name, signal) {
      signal.throwIfAborted()
      const holder = ids.uuid()
      let mayHold = false
      try {
        for (;;) {
          const news = released.promise
          let pauseMs = lookMs
          try {
            mayHold = true
            const won = await tryOnce(name, holder)
            signal.throwIfAborted()
            if (won !== undefined && !won.lost.aborted) return holdLock(name, holder, won)
            mayHold = false
          } catch (error) {
            if (!(error instanceof Unavailable)) throw error
            pauseMs = againMs
          }
          const pause = new AbortController()
          const until = AbortSignal.any([signal, stopping.signal, pause.signal])
          await Promise.race([clock.sleep(pauseMs, until), news])
            .catch(() => undefined)
            .finally(() => pause.abort())
          signal.throwIfAborted()
          stopping.signal.throwIfAborted()
        }
      } catch (error) {
        if (mayHold) void letGoInBackground(name, holder)
        throw error
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...held].map((lock) => lock[Symbol.asyncDispose]()))
      stopping.abort(new Unavailable('wait for a lock'))
      await Promise.all(cleaning)
    },
  }
}

/** Of a fence that nobody has written or somebody else has spoilt, the time counts alone. */
export function parseToken(value: Uint8Array | undefined): bigint {
  const text = value === undefined ? '' : new TextDecoder().decode(value)
  return /^[0-9]{1,30}$/.test(text) ? BigInt(text) : 0n
}

export function nextToken(last: bigint, nowMs: number): bigint {
  const byTime = BigInt(Math.max(0, Math.trunc(nowMs))) * 1000n
  return last >= byTime ? last + 1n : byTime
}

function passUnavailable(error: unknown): void {
  if (!(error instanceof Unavailable)) throw error
}
