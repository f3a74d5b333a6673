import type { Logger } from 'pino'
import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import { shardCount, shardOf } from '../../../contract/gundeck/ring.ts'
import type { Clock } from '../../../platform/clock.ts'
import { ticksOfMs } from '../../../platform/time-uuid.ts'
import type { IdClock } from '../inbox/id-clock.ts'
import { aheadTicks } from '../rules/ceiling.ts'
import type { InstanceLine, InstanceState, RingStore, ShardState } from '../store/ring.ts'
import type { Ring, RingListener, Tenure } from './ring.ts'

/** While less than this is left, the ceiling is raised ahead of need. */
const reserveTicks = ticksOfMs(1500) - ticksOfMs(0)
const heartbeatMs = 500
/** Without ids for so long the heartbeat rests: a sole owner has nobody to tell that it lives. */
const restAfterMs = 10_000

const shardNumbers = Array.from({ length: shardCount }, (_, shard) => shard)

/**
 * Takes every shard over, at once and from whoever had it: for a gundeck that is the only one on its
 * data. Several owners watch one another's heartbeats instead, over the same rows.
 */
export async function takeOver(deps: {
  store: RingStore
  idClock: IdClock
  clock: Clock
  log: Logger
  instance: string
  address: string
}): Promise<Ring> {
  const { store, idClock, clock, log, instance } = deps
  const tenures: Tenure[] = []
  let own: InstanceState
  let version: bigint

  for (;;) {
    const view = await store.read()
    const shards = new Map<number, ShardState>()
    for (const shard of shardNumbers) {
      const before = view.shards.get(shard)
      const ceiling = view.instances.get(before?.owner ?? '')?.ceiling ?? 0n
      const floor = before === undefined || ceiling > before.floor ? ceiling : before.floor
      shards.set(shard, { owner: instance, epoch: (before?.epoch ?? 0n) + 1n, floor })
      idClock.raise(floor)
    }
    const earlier = view.instances.get(instance)
    own = {
      epoch: (earlier?.epoch ?? 0n) + 1n,
      sequence: (earlier?.sequence ?? 0n) + 1n,
      ceiling: idClock.peek() + aheadTicks,
    }
    // Another epoch in the rows of all earlier owners: their heartbeats fail from here on.
    const instances = new Map<string, InstanceState & Partial<InstanceLine>>()
    for (const [name, state] of view.instances) {
      instances.set(name, { ...state, epoch: state.epoch + 1n })
    }
    instances.set(instance, { ...own, address: deps.address, clockMs: clock.nowMs() })
    if (!(await store.change(view, { lines: instances, shards }))) continue

    version = view.version + 1n
    for (const [shard, { epoch, floor }] of shards) tenures[shard] = { shard, epoch, floor }
    break
  }
  idClock.sample()
  log.info({ epoch: own.epoch.toString() }, 'inboxes taken over')

  const id = `${instance}/${own.epoch.toString()}`
  const listeners: RingListener[] = []
  let isOwner = true
  let raising: Promise<void> | undefined
  let fence: Promise<boolean> | undefined

  function lose(): Unavailable {
    if (isOwner) {
      log.error('another process took over the inboxes')
      isOwner = false
      for (const listener of listeners) listener.onLost(shardNumbers)
    }
    return new Unavailable('the inboxes are owned by another process')
  }

  /** A conditional write is not idempotent: what is not known is read before it is tried again. */
  async function raise(): Promise<void> {
    if (!isOwner) throw lose()
    const from = own
    const next = {
      epoch: from.epoch,
      sequence: from.sequence + 1n,
      ceiling: idClock.peek() + aheadTicks,
    }
    if (next.ceiling <= from.ceiling) return
    let isApplied: boolean
    try {
      isApplied = await store.raise(instance, from, next, clock.nowMs())
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error
      isApplied = false
    }
    if (!isApplied) {
      const found = await store.instance(instance)
      if (found === undefined || found.epoch !== from.epoch) throw lose()
      // Only this process raises under this epoch, one at a time.
      if (found.sequence === from.sequence) throw new Unavailable('the ceiling was not raised')
      own = found
      return
    }
    own = next
  }

  function raiseOnce(): Promise<void> {
    raising ??= raise().finally(() => {
      raising = undefined
    })
    return raising
  }

  async function readFence(): Promise<boolean> {
    // All that was committed in this turn of the loop is answered by this one read.
    await new Promise(setImmediate)
    fence = undefined
    if (!isOwner) return false
    const current = await store.version()
    if (current === version) return true
    const view = await store.read()
    for (const tenure of tenures) {
      const found = view.shards.get(tenure.shard)
      if (found?.owner !== instance || found.epoch !== tenure.epoch) {
        lose()
        return false
      }
    }
    version = view.version
    return true
  }

  return {
    id,
    hasRivals: false,
    ownerOf(user) {
      const tenure = tenures[shardOf(user)]
      if (tenure !== undefined && isOwner) return { kind: 'here', tenure }
      return { kind: 'elsewhere', owner: undefined }
    },
    holds: (tenure) => isOwner && tenures[tenure.shard]?.epoch === tenure.epoch,
    canGive: (tenure) => isOwner && tenures[tenure.shard]?.epoch === tenure.epoch,
    get map() {
      const owners = isOwner ? [{ id, address: deps.address }] : []
      return { version: Number(version), owners, shards: shardNumbers.map(() => owners.length - 1) }
    },
    refresh: () => Promise.resolve(),
    nextVersion: new Promise(() => undefined),
    listen(listener) {
      listeners.push(listener)
    },
    get ceiling() {
      return own.ceiling
    },
    // There is nobody to compare it with.
    isClockBelieved: true,
    get isAlive() {
      return isOwner
    },
    async raiseTo(ticks) {
      idClock.raise(ticks - 1n)
      while (own.ceiling < ticks) await raiseOnce()
    },
    async isHeld(tenure) {
      if (tenures[tenure.shard]?.epoch !== tenure.epoch) return false
      fence ??= readFence()
      return fence
    },
    async release() {
      if (!isOwner) return
      isOwner = false
      const view = await store.read()
      const shards = new Map<number, ShardState>()
      for (const { shard, epoch, floor } of tenures) {
        const found = view.shards.get(shard)
        if (found?.owner !== instance || found.epoch !== epoch) continue
        shards.set(shard, {
          owner: undefined,
          epoch,
          floor: idClock.last > floor ? idClock.last : floor,
        })
      }
      if (shards.size > 0) await store.change(view, { shards })
    },
    async run(signal) {
      let seen = idClock.last
      let seenMs = clock.monotonicMs() - restAfterMs
      try {
        for (;;) {
          await clock.sleep(heartbeatMs, signal)
          idClock.sample()
          if (idClock.last !== seen) {
            seen = idClock.last
            seenMs = clock.monotonicMs()
          }
          if (!isOwner || clock.monotonicMs() - seenMs >= restAfterMs) continue
          if (own.ceiling - idClock.peek() > reserveTicks) continue
          try {
            await raiseOnce()
          } catch (error) {
            log.warn({ err: error }, 'ceiling not raised')
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
