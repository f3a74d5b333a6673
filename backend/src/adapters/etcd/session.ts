import { EtcdLeaseInvalidError } from 'etcd3'
import type { Clock } from '../../platform/clock.ts'
import type { Dependency } from '../../platform/dependencies.ts'
import type { EtcdCluster } from './cluster.ts'

/**
 * One lease of this process, renewed until it is closed. When it is lost a new one is taken, and
 * `keys` are written again under it.
 */
export interface Session extends AsyncDisposable {
  /** Keys that exist while this process lives. Written in the background until they are right. */
  set(key: string, value: string): void
  delete(key: string): void
  /** Resolves when everything wanted is written, or when etcd does not answer just now. */
  settle(): Promise<void>
  /** The lease that surely lives for a while yet, and a signal for when it may not. */
  lease(): Promise<{ id: string; signal: AbortSignal }>
  /** Whether leases of others may have run out in an outage that is on, or was over just now. */
  isInDoubt(): boolean
}

/** Before the lease may end on the other side, by our own clock. */
const marginShare = 0.2
const againMs = 500

export function openSession(deps: {
  readonly cluster: EtcdCluster
  readonly dependency: Dependency
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly leaseSeconds: number
}): Session {
  const { cluster, dependency, clock, leaseSeconds } = deps
  const stopping = new AbortController()
  const wanted = new Map<string, string>()
  const written = new Map<string, string>()
  let current: { id: string; lost: AbortController; validUntilMs: number } | undefined
  let wake = Promise.withResolvers<void>()
  let turn: Promise<void> = Promise.resolve()
  let answeredMs = clock.monotonicMs()
  let inDoubtUntilMs = 0

  const isSilent = (): boolean => clock.monotonicMs() - answeredMs > leaseSeconds * 500

  function noteAnswer(): void {
    if (isSilent()) inDoubtUntilMs = clock.monotonicMs() + leaseSeconds * 1000
    answeredMs = clock.monotonicMs()
  }

  function lose(reason: string): void {
    current?.lost.abort(new Error(reason))
    current = undefined
    written.clear()
  }

  /** From before it was asked for, so that ours ends first. */
  const validUntil = (askedMs: number): number => askedMs + leaseSeconds * 1000 * (1 - marginShare)

  async function grant(): Promise<void> {
    const askedMs = clock.monotonicMs()
    const { ID: id } = await dependency.attempt({ what: 'take a lease' }, (signal) =>
      cluster.call(
        (member, limit) => member.leaseClient.leaseGrant({ TTL: leaseSeconds }, limit),
        signal,
      ),
    )
    noteAnswer()
    current = { id, lost: new AbortController(), validUntilMs: validUntil(askedMs) }
    void watchEnd(current)
  }

  /** Time goes by for leases too while nobody answers. */
  async function watchEnd(lease: NonNullable<typeof current>): Promise<void> {
    const { signal } = lease.lost
    while (!signal.aborted && !stopping.signal.aborted) {
      const leftMs = lease.validUntilMs - clock.monotonicMs()
      if (leftMs <= 0) {
        if (current === lease) lose('the lease was not renewed in time')
        return
      }
      await clock.sleep(leftMs, AbortSignal.any([signal, stopping.signal])).catch(() => undefined)
    }
  }

  async function renew(lease: NonNullable<typeof current>): Promise<void> {
    const askedMs = clock.monotonicMs()
    const ttlSeconds = await dependency.attempt({ what: 'renew a lease' }, (signal) =>
      cluster.call((member, limit) => renewOnce(member, lease.id, limit), signal),
    )
    noteAnswer()
    if (ttlSeconds > 0) lease.validUntilMs = validUntil(askedMs)
    else if (current === lease) lose('the lease has ended')
  }

  /** Brings the keys to what is wanted; one at a time, since it reads and writes `written`. */
  async function write(): Promise<void> {
    if (current === undefined) await grant()
    const lease = current
    if (lease === undefined) return
    for (const [key, value] of wanted) {
      if (written.get(key) === value) continue
      await put(key, value, lease.id)
      if (current === lease) written.set(key, value)
    }
    for (const key of written.keys()) {
      if (wanted.has(key)) continue
      await takeBack(key, lease.id)
      written.delete(key)
    }
  }

  function put(key: string, value: string, lease: string): Promise<unknown> {
    return dependency.attempt({ what: 'announce a key' }, (signal) =>
      cluster.call(
        (member, limit) =>
          member.kv.put({ key: Buffer.from(key), value: Buffer.from(value), lease }, limit),
        signal,
      ),
    )
  }

  /** Unless somebody else has announced the key since: a successor of the same name. */
  function takeBack(key: string, lease: string): Promise<unknown> {
    const name = Buffer.from(key)
    return dependency.attempt({ what: 'take back a key' }, (signal) =>
      cluster.call(
        (member, limit) =>
          member.kv.txn(
            {
              compare: [{ key: name, target: 'Lease', result: 'Equal', lease }],
              success: [{ request_delete_range: { key: name } }],
            },
            limit,
          ),
        signal,
      ),
    )
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      let pauseMs = (leaseSeconds * 1000) / 3
      try {
        await inTurn(async () => {
          if (current !== undefined) await renew(current)
          await write()
        })
      } catch (error) {
        if (error instanceof EtcdLeaseInvalidError) lose('the lease has ended')
        pauseMs = againMs
      }
      if (current === undefined) pauseMs = Math.min(pauseMs, againMs)
      const pause = new AbortController()
      const signal = AbortSignal.any([pause.signal, stopping.signal])
      await Promise.race([clock.sleep(pauseMs, signal).catch(() => undefined), wake.promise])
      pause.abort()
      wake = Promise.withResolvers()
    }
  }

  const running = run()
  return {
    set(key, value) {
      wanted.set(key, value)
      wake.resolve()
    },
    delete(key) {
      wanted.delete(key)
      wake.resolve()
    },
    settle: () =>
      inTurn(write).catch((error: unknown) => {
        if (error instanceof EtcdLeaseInvalidError) lose('the lease has ended')
      }),
    async lease() {
      if (current === undefined) await inTurn(write)
      if (current === undefined) throw new TypeError('the lease was lost as it was taken')
      return { id: current.id, signal: current.lost.signal }
    },
    isInDoubt: () => isSilent() || clock.monotonicMs() < inDoubtUntilMs,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      wake.resolve()
      await running
      await turn
      const lease = current
      lose('the session has ended')
      if (lease === undefined || !dependency.isUp) return
      await dependency
        .attempt({ what: 'give back a lease' }, (signal) =>
          cluster.call(
            (member, limit) => member.leaseClient.leaseRevoke({ ID: lease.id }, limit),
            signal,
          ),
        )
        .catch(() => undefined)
    },
  }
}

/** Renews over a stream that lives for one answer, which so has a deadline. Returns the seconds left. */
async function renewOnce(
  member: EtcdCluster['member'],
  id: string,
  limit: { deadline: number },
): Promise<number> {
  const stream = await member.leaseClient.leaseKeepAlive(limit)
  try {
    return await new Promise<number>((resolve, reject) => {
      stream.on('data', ({ TTL }) => resolve(Number(TTL)))
      stream.on('error', reject)
      stream.on('end', () => reject(new Error('the stream ended without an answer')))
      stream.write({ ID: id })
    })
  } finally {
    stream.cancel()
  }
}
