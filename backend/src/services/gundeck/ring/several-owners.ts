import type { Logger } from 'pino'
import { Unavailable } from '../../../contract/error.ts'
import { shardCount, shardOf } from '../../../contract/gundeck/ring.ts'
import type { RingMap } from '../../../contract/gundeck/ring.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { IdClock } from '../inbox/id-clock.ts'
import { aheadTicks } from '../rules/ceiling.ts'
import { insaneClocks } from '../rules/clock-sanity.ts'
import { countShards, handover, spreadShards } from '../rules/placement.ts'
import type { InstanceLine, InstanceState, RingStore, RingView, ShardState } from '../store/ring.ts'
import { createBeat } from './beat.ts'
import type { Beat, BeatDeps, Pulse } from './beat.ts'
import type { Ring, RingHooks, RingListener, RingStep, Tenure } from './ring.ts'

export interface RingDeps {
  readonly store: RingStore
  readonly idClock: IdClock
  readonly clock: Clock
  readonly log: Logger
  /** Name of this instance; earlier starts under the same name are over. */
  readonly instance: string
  readonly address: string
  /** Makes this start different from all others. */
  readonly startName: () => string
  readonly hooks?: RingHooks | undefined
  /** Gives the sign of life; by default in this thread. */
  readonly beat?: ((deps: BeatDeps) => Beat) | undefined
}

/** A line that did not change for so long, on our own clock, is of one that may be dead. */
const silenceMs = 1500
const watchEveryMs = 250
/** Nobody else took them for so long after their owner fell silent: whoever comes takes them. */
const unclaimedMs = 1000
/** Nothing is moved to even out before the same instances have been there for so long. */
const settledMs = 5000
/** Own signs of life older than this: others may think us dead. */
const aliveMs = 2000
/** A line without shards and signs of life is removed after so long. */
const forgetMs = 60_000
const clockSamples = 8
/** Who stops tries so long to hand its shards over, and so often. */
const longestReleaseMs = 6000
const releaseAgainMs = 50
/** Looks at the ring one after another, while others change it too. */
const rounds = 4

const shardNumbers = Array.from({ length: shardCount }, (_, shard) => shard)

/** What we saw of an instance's line, and when. */
interface Sighting {
  sequence: bigint
  epoch: bigint
  /** On our monotonic clock, after the read that first showed it so. */
  changedMs: number
  /** Whether it changed while we looked. */
  isBeating: boolean
  /** Its clock less ours at the last changes; the greatest was read soonest after it was written. */
  offsetsMs: number[]
}

/** The process is one of several owners, who watch one another in the store. */
export async function joinRing(deps: RingDeps): Promise<Ring> {
  const { store, idClock, clock, log, instance, address, hooks } = deps
  let me = ''
  let view: RingView = { version: 0n, instances: new Map(), shards: new Map() }
  const tenures: (Tenure | undefined)[] = shardNumbers.map(() => undefined)
  /** Shards of ours for which no id is given out: handed over, and nobody knows whether it worked. */
  const releasing = new Set<number>()
  const listeners: RingListener[] = []
  const sightings = new Map<string, Sighting>()
  /** When each shard was first seen without a living owner. */
  const orphanedMs = new Map<number, number>()
  let insane = new Set<string>()
  /** Wall clock less monotonic clock when our clock was last compared with the others'. */
  let judgedOffsetMs = clock.nowMs() - clock.monotonicMs()
  let hasOthers = false
  let membersText = ''
  let membersSinceMs = clock.monotonicMs()
  let isStopping = false
  let nextVersion = Promise.withResolvers<void>()
  let fence: Promise<void> | undefined
  let exclusive: Promise<unknown> = Promise.resolve()
  /** A handover under way; one at a time. */
  let moving: Promise<void> | undefined
  /** Shards of earlier starts under our name are taken at once, but only at first. */
  let hasLooked = false

  const at = async (step: RingStep): Promise<void> => {
    await hooks?.atRing?.(step)
  }

  const pulse: Pulse = {
    ceiling(present) {
      // Without shards the clock has nothing to say: it may show a wrong year.
      if (!tenures.some((tenure) => tenure !== undefined) || hasJumped()) return present
      const wanted = idClock.peek() + aheadTicks
      return wanted > present ? wanted : present
    },
    clockMs: () => clock.nowMs(),
  }

  /** Somebody set the clock since it was compared with the others'. */
  function hasJumped(): boolean {
    if (!hasOthers) return false
    return insane.has(me) || Math.abs(clock.nowMs() - clock.monotonicMs() - judgedOffsetMs) > 2000
  }

  /** Writes a line of our own, under a name that nobody had. */
  async function register(): Promise<InstanceState> {
    for (;;) {
      const found = await store.read()
      const name = `${instance}/${deps.startName()}`
      let joined = 1n
      for (const line of found.instances.values())
        if (line.joined >= joined) joined = line.joined + 1n
      const line = { epoch: 1n, sequence: 1n, ceiling: 0n, address, joined, clockMs: clock.nowMs() }
      if (!(await store.register(name, line))) continue
      me = name
      log.info({ instance: me }, 'registered in the ring')
      await at('registered')
      return line
    }
  }

  const beat = (deps.beat ?? createBeat)({
    store: {
      ...store,
      async raise(...args) {
        await at('raising')
        const isApplied = await store.raise(...args)
        await at('raised')
        return isApplied
      },
    },
    name: () => me,
    pulse,
    clock,
    log,
    line: await register(),
  })

  /**
   * Believes a view of the ring, unless a newer one is known. Begins no tenure: a plain read may show
   * what is not settled yet.
   */
  function apply(found: RingView): void {
    if (found.version < view.version) return
    if (found.version > view.version) {
      nextVersion.resolve()
      nextVersion = Promise.withResolvers()
    }
    view = found
    const lost: number[] = []
    for (const tenure of tenures) {
      if (tenure === undefined || isOurs(tenure)) continue
      tenures[tenure.shard] = undefined
      releasing.delete(tenure.shard)
      lost.push(tenure.shard)
    }
    if (lost.length === 0) return
    log.info({ shards: lost.length, version: Number(view.version) }, 'inboxes given up')
    for (const listener of listeners) listener.onLost(lost)
  }

  const isKnown = ({ shard, epoch }: Tenure): boolean => tenures[shard]?.epoch === epoch

  function isOurs({ shard, epoch }: Tenure): boolean {
    const found = view.shards.get(shard)
    return found?.owner === me && found.epoch === epoch
  }

  /** Shards that the view says are ours, and of which we did not know. */
  function given(): number[] {
    return shardNumbers.filter((shard) => {
      const found = view.shards.get(shard)
      return found?.owner === me && tenures[shard] === undefined
    })
  }

  function begin(shards: readonly number[]): void {
    for (const shard of shards) {
      const found = view.shards.get(shard)
      if (found?.owner !== me) continue
      const { epoch, floor } = found
      idClock.raise(floor)
      tenures[shard] = { shard, epoch, floor }
    }
    log.info({ shards: shards.length, version: Number(view.version) }, 'inboxes taken over')
  }

  async function learn(found: RingView): Promise<void> {
    apply(found)
    if (given().length === 0) return
    apply(await store.readSettled())
    begin(given())
  }

  /** One change of our own line at a time, besides the beat. */
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const result = exclusive.then(work)
    exclusive = result.catch(() => undefined)
    return result
  }

  /** Somebody changed our line, so shards of ours went: they are let go before anything is raised. */
  function resync(): Promise<void> {
    return alone(async () => {
      // Two may have seen the change: the second must not bring back what the line was before a raise.
      await beat.hold()
      let next: InstanceState | undefined
      try {
        const found = await store.readSettled()
        const known = found.instances.get(me)
        if (known === undefined) {
          // Removed as one that is dead and owns nothing.
          loseAll()
          next = await register()
        } else {
          apply(found)
          releasing.clear()
          next = known
        }
      } finally {
        beat.go(next)
      }
    })
  }

  function loseAll(): void {
    const lost = shardNumbers.filter((shard) => tenures[shard] !== undefined)
    for (const shard of lost) tenures[shard] = undefined
    releasing.clear()
    if (lost.length > 0) for (const listener of listeners) listener.onLost(lost)
  }

  /** Takes shards from whoever has them, all in one change that fails if anything moved. */
  async function take(shards: readonly number[], found: RingView): Promise<boolean> {
    const lines = new Map<string, InstanceLine>()
    const taken = new Map<number, ShardState>()
    for (const shard of shards) {
      const before = found.shards.get(shard)
      const predecessor = found.instances.get(before?.owner ?? '')
      const floor = before?.floor ?? 0n
      const ceiling = predecessor?.ceiling ?? 0n
      taken.set(shard, {
        owner: me,
        epoch: (before?.epoch ?? 0n) + 1n,
        floor: ceiling > floor ? ceiling : floor,
      })
      // Another epoch, so that the predecessor's next raise fails if it lives.
      if (before?.owner !== undefined && predecessor !== undefined) {
        lines.set(before.owner, { ...predecessor, epoch: predecessor.epoch + 1n })
      }
    }
    await at('taking-over')
    // If it is not known whether it worked, the next look at the ring tells.
    const standing = new Map([[me, beat.line.epoch]])
    if (!(await store.change(found, { lines, shards: taken, standing }))) return false
    apply(changed(found, lines, taken))
    if (view.version === found.version + 1n) begin(shards)
    else await learn(view)
    await at('took-over')
    return true
  }

  function move(work: () => Promise<void>): Promise<void> {
    moving ??= work().finally(() => {
      moving = undefined
    })
    return moving
  }

  /**
   * Hands shards over, to others or to nobody. Until it is known what became of that, no id is given
   * out for them.
   */
  async function give(places: ReadonlyMap<number, string | undefined>): Promise<void> {
    const shards = [...places.keys()].filter(
      (shard) => tenures[shard] !== undefined && !releasing.has(shard),
    )
    if (shards.length === 0) return
    for (const shard of shards) releasing.add(shard)
    await at('releasing')
    for (const listener of listeners) await listener.onReleasing(shards)
    await alone(async () => {
      const own = await beat.hold()
      let next = own
      try {
        const from = withLine(view, me, own)
        const moved = new Map<number, ShardState>()
        const standing = new Map<string, bigint>()
        for (const shard of shards) {
          const tenure = tenures[shard]
          if (tenure === undefined || !releasing.has(shard)) continue
          const owner = places.get(shard)
          const floor = idClock.last > tenure.floor ? idClock.last : tenure.floor
          moved.set(shard, { owner, epoch: owner ? tenure.epoch + 1n : tenure.epoch, floor })
          const to = owner === undefined ? undefined : view.instances.get(owner)
          if (owner !== undefined && to) standing.set(owner, to.epoch)
        }
        if (moved.size === 0) return
        // Our own line too, so that this is not applied after a raise, nor a raise after this.
        const bumped = { ...own, sequence: own.sequence + 1n }
        const lines = new Map([[me, bumped]])
        if (await store.change(from, { lines, shards: moved, standing })) {
          next = bumped
          apply(changed(from, lines, moved))
        }
      } finally {
        beat.go(next)
      }
    })
    await at('released')
  }

  /** Goes on with what was handed over and is still ours, once that cannot be applied any more. */
  async function settleReleases(): Promise<void> {
    if (releasing.size === 0) return
    const doubtful = [...releasing]
    if ((await beat.raise()) === 'changed') await resync()
    apply(await store.readSettled())
    for (const shard of doubtful) releasing.delete(shard)
  }

  function look(found: RingView, nowMs: number): void {
    for (const [name, { sequence, epoch, clockMs }] of found.instances) {
      const known = sightings.get(name)
      if (known === undefined) {
        const offsetsMs = [clockMs - clock.nowMs()]
        sightings.set(name, { sequence, epoch, changedMs: nowMs, isBeating: false, offsetsMs })
      } else if (known.sequence !== sequence) {
        known.isBeating = true
        known.sequence = sequence
        known.epoch = epoch
        known.changedMs = nowMs
        known.offsetsMs.push(clockMs - clock.nowMs())
        if (known.offsetsMs.length > clockSamples) known.offsetsMs.shift()
      } else if (known.epoch !== epoch) {
        // Shards were taken from it; that is not a sign of life.
        known.epoch = epoch
      }
    }
    for (const name of sightings.keys()) if (!found.instances.has(name)) sightings.delete(name)
  }

  /** Those whose line changed lately, as far as we could see. */
  function livingAt(nowMs: number): string[] {
    return [...sightings]
      .filter(([name, { changedMs }]) => name === me || nowMs - changedMs < silenceMs)
      .map(([name]) => name)
  }

  /** Until the next look at the ring: soon, and as soon as somebody was silent for too long. */
  function pauseBeforeLook(): number {
    const nowMs = clock.monotonicMs()
    let pauseMs = watchEveryMs
    for (const [name, { changedMs }] of sightings) {
      const leftMs = changedMs + silenceMs - nowMs
      if (name !== me && leftMs > 0) pauseMs = Math.min(pauseMs, leftMs)
    }
    return pauseMs
  }

  function judgeClocks(found: RingView, living: readonly string[]): void {
    const readings = living.flatMap((name) => {
      const seen = sightings.get(name)
      const joined = found.instances.get(name)?.joined ?? 0n
      if (name === me) return [{ name, joined, offsetMs: 0 }]
      return seen?.isBeating ? [{ name, joined, offsetMs: Math.max(...seen.offsetsMs) }] : []
    })
    hasOthers = readings.length > 1
    const were = insane
    insane = insaneClocks(readings, insane)
    if (insane.has(me) && !were.has(me)) {
      log.error('the clock of this host differs from the others: it keeps no inboxes')
    }
    judgedOffsetMs = clock.nowMs() - clock.monotonicMs()
  }

  /** False when somebody else changed the ring meanwhile. */
  async function watch(): Promise<boolean> {
    const found = await store.read()
    const nowMs = clock.monotonicMs()
    const jumpMs = clock.nowMs() - nowMs - judgedOffsetMs
    if (Math.abs(jumpMs) > 100) {
      // Our own clock was set: what we noted of the others' was measured against the old one.
      for (const { offsetsMs } of sightings.values()) {
        for (const index of offsetsMs.keys()) offsetsMs[index] = (offsetsMs[index] ?? 0) - jumpMs
      }
    }
    look(found, nowMs)
    await learn(found)
    if (nowMs - beat.raisedMs > silenceMs) return true
    const living = livingAt(nowMs)
    judgeClocks(found, living)
    noteMembers(living, nowMs)
    if (moving === undefined) {
      const isSettled = nowMs - membersSinceMs >= settledMs
      move(async () => {
        await settleReleases()
        if (insane.has(me)) await leave(living)
        else if (isSettled && !isStopping) await evenOut(living)
      }).catch((error: unknown) => log.warn({ err: error }, 'inboxes not handed over'))
    }
    if (isStopping || insane.has(me)) return true
    await forgetDead(nowMs)
    return takeOrphans(found, living, nowMs)
  }

  function noteMembers(living: readonly string[], nowMs: number): void {
    const text = living
      .filter((name) => !insane.has(name))
      .toSorted()
      .join(' ')
    if (text === membersText) return
    membersText = text
    membersSinceMs = nowMs
  }

  const ownersOf = ({ shards }: RingView): (string | undefined)[] =>
    shardNumbers.map((shard) => shards.get(shard)?.owner)

  async function takeOrphans(
    found: RingView,
    living: readonly string[],
    nowMs: number,
  ): Promise<boolean> {
    const owners = ownersOf(found)
    const orphans = shardNumbers.filter((shard) => {
      const owner = owners[shard]
      const isEarlier = owner !== undefined && !hasLooked && nameOf(owner) === instance
      return owner === undefined || isEarlier || !living.includes(owner)
    })
    for (const shard of orphanedMs.keys()) if (!orphans.includes(shard)) orphanedMs.delete(shard)
    for (const shard of orphans) if (!orphanedMs.has(shard)) orphanedMs.set(shard, nowMs)
    hasLooked = true
    if (orphans.length === 0) return true
    const fit = living.filter((name) => !insane.has(name) && canTake(name))
    const places = spreadShards(orphans, countShards(owners, fit))
    const mine = orphans.filter((shard) => {
      const isUnclaimed = nowMs - (orphanedMs.get(shard) ?? nowMs) >= unclaimedMs
      return places.get(shard) === me || isUnclaimed
    })
    return mine.length === 0 || take(mine, found)
  }

  const canTake = (name: string): boolean => name === me || sightings.get(name)?.isBeating === true

  async function evenOut(living: readonly string[]): Promise<void> {
    const fit = living.filter((name) => !insane.has(name) && canTake(name))
    const plan = handover(ownersOf(view), fit, me)
    if (plan) await give(new Map(plan.shards.map((shard) => [shard, plan.to])))
  }

  /** Hands everything to the others. */
  async function leave(living: readonly string[]): Promise<void> {
    const fit = living.filter((name) => name !== me && !insane.has(name) && canTake(name))
    const own = shardNumbers.filter((shard) => tenures[shard] !== undefined)
    const places = spreadShards(own, countShards(ownersOf(view), fit))
    await give(new Map(own.map((shard) => [shard, places.get(shard)])))
  }

  /** Lines of those who are gone and own nothing. */
  async function forgetDead(nowMs: number): Promise<void> {
    const owners = new Set(ownersOf(view))
    for (const [name, { changedMs }] of sightings) {
      const dead = view.instances.get(name)
      if (name === me || dead === undefined || owners.has(name)) continue
      if (nowMs - changedMs >= forgetMs) await store.remove(name, view)
    }
  }

  async function readFence(): Promise<void> {
    // All that was committed in this turn of the loop is answered by this one read.
    await new Promise(setImmediate)
    fence = undefined
    for (let round = 0; round < rounds; round += 1) {
      const current = await store.version()
      if (current === view.version) return
      // Behind what we know: it began before that.
      if (current > view.version) apply(await store.read())
      if (current === view.version) return
    }
    throw new Unavailable('the ring is not what it showed before')
  }

  async function watchForever(signal: AbortSignal): Promise<void> {
    let isFailing = false
    for (;;) {
      try {
        for (let round = 0; round < rounds && !(await watch()); round += 1);
        isFailing = false
      } catch (error) {
        if (signal.aborted) return
        if (!isFailing)
          log.warn({ err: error }, 'the ring of inbox owners cannot be read or changed')
        isFailing = true
      }
      await clock.sleep(pauseBeforeLook(), signal)
    }
  }

  await watch().catch((error: unknown) => log.warn({ err: error }, 'the ring could not be joined'))

  return {
    get id() {
      return me
    },
    hasRivals: true,
    ownerOf(user) {
      const shard = shardOf(user)
      const tenure = tenures[shard]
      if (tenure !== undefined && !releasing.has(shard)) return { kind: 'here', tenure }
      const id = tenure === undefined ? view.shards.get(shard)?.owner : undefined
      const found = id === undefined || id === me ? undefined : view.instances.get(id)
      return {
        kind: 'elsewhere',
        owner: id !== undefined && found ? { id, address: found.address } : undefined,
      }
    },
    holds: isKnown,
    canGive: (tenure) => isKnown(tenure) && !releasing.has(tenure.shard),
    get nextVersion() {
      return nextVersion.promise
    },
    get ceiling() {
      return beat.line.ceiling
    },
    get isAlive() {
      return clock.monotonicMs() - beat.raisedMs < aliveMs
    },
    get isClockBelieved() {
      return !hasJumped()
    },
    get map() {
      return mapOf(view)
    },
    async refresh(version) {
      if (version > Number(view.version)) await learn(await store.read())
    },
    listen(listener) {
      listeners.push(listener)
    },
    async raiseTo(ticks) {
      idClock.raise(ticks - 1n)
      while (beat.line.ceiling < ticks) {
        if (hasJumped()) throw new Unavailable('the clock of this host is not believed')
        if (!tenures.some((tenure) => tenure !== undefined)) {
          throw new Unavailable('this process owns no inboxes')
        }
        if ((await beat.raise()) === 'changed') await resync()
      }
    },
    async isHeld(tenure) {
      if (!isKnown(tenure)) return false
      fence ??= readFence()
      await fence
      return isKnown(tenure)
    },
    async release() {
      isStopping = true
      const untilMs = clock.monotonicMs() + longestReleaseMs
      for (;;) {
        await moving?.catch(() => undefined)
        try {
          await move(async () => {
            await settleReleases()
            await leave(livingAt(clock.monotonicMs()))
          })
          if (tenures.every((tenure) => tenure === undefined)) return
          await learn(await store.read())
        } catch (error) {
          // A busy store refuses, or does not say: whoever ends now makes others wait for their silence.
          if (!(error instanceof Unavailable) || clock.monotonicMs() >= untilMs) throw error
        }
        if (clock.monotonicMs() >= untilMs)
          throw new Unavailable('others change the ring all the time')
        await clock.sleep(releaseAgainMs)
      }
    },
    async run(signal) {
      const watching = watchForever(signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
      await Promise.all([watching, beat.run(signal, resync)])
    },
  }
}

/** The view after a change that was applied to it. */
function changed(
  before: RingView,
  lines: ReadonlyMap<string, InstanceState>,
  moved: ReadonlyMap<number, ShardState>,
): RingView {
  const instances = new Map(before.instances)
  for (const [name, line] of lines) {
    const known = instances.get(name)
    if (known) instances.set(name, { ...known, ...line })
  }
  return {
    version: before.version + 1n,
    instances,
    shards: new Map([...before.shards, ...moved]),
  }
}

function withLine(view: RingView, name: string, state: InstanceState): RingView {
  const known = view.instances.get(name)
  const line = { address: '', joined: 0n, clockMs: 0, ...known, ...state }
  return { ...view, instances: new Map(view.instances).set(name, line) }
}

const nameOf = (id: string): string => id.slice(0, id.lastIndexOf('/'))

function mapOf({ version, instances, shards }: RingView): RingMap {
  const owners: { id: string; address: string }[] = []
  const indexes = new Map<string, number>()
  const indexOf = (id: string | undefined): number => {
    const address = id === undefined ? undefined : instances.get(id)?.address
    if (id === undefined || address === undefined) return -1
    const known = indexes.get(id)
    if (known !== undefined) return known
    indexes.set(id, owners.length)
    owners.push({ id, address })
    return owners.length - 1
  }
  return {
    version: Number(version),
    shards: shardNumbers.map((shard) => indexOf(shards.get(shard)?.owner)),
    owners,
  }
}
