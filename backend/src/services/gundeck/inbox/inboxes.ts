import type { Logger } from 'pino'
import { Unavailable } from '../../../contract/error.ts'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { ticksOf } from '../../../platform/time-uuid.ts'
import { positionAfter } from '../rules/notification-id.ts'
import type { Append, AppendOutcome } from './append.ts'
import { createFairQueue } from './fair-queue.ts'
import { NotOwner } from '../ring/ring.ts'
import { Inbox } from './inbox.ts'
import type { InboxDeps, Inherited } from './inbox.ts'
import { PushCall } from './push-call.ts'

/** Bounds on what waits, so that overload is refused before memory grows. */
export interface InboxLimits {
  /** Appends that wait in one inbox. */
  readonly waitingPerInbox: number
  /** Bytes that wait in all inboxes together. */
  readonly waitingBytes: number
  /** Inboxes that are written at the same time. */
  readonly inFlight: number
  /** How long a caller waits for its appends. */
  readonly appendTimeoutMs: number
}

export interface Inboxes {
  /** One outcome for each append, in their order. Rejects with `Unavailable` when there is no room. */
  append(appends: readonly Append[]): Promise<readonly AppendOutcome[]>
  /** The user's inbox, while something goes on in it. */
  find(user: UserId): Inbox | undefined
  /**
   * Makes the inbox if need be.
   * @throws NotOwner
   */
  get(user: UserId): Inbox
  /**
   * A position at or above everything stored so far and below everything that is stored from now on;
   * as late as possible, so that a cursor does not look older than it is.
   */
  newPosition(user: UserId): Promise<NotificationId>
  readonly size: number
  run(signal: AbortSignal): Promise<void>
  /** Takes nothing more; resolves when everything that was accepted is settled. */
  drain(): Promise<void>
}

/** An inbox in which nothing went on for so long is forgotten, if it has no socket. */
const forgetAfterMs = 60_000
/** Who hands a shard over waits so long for what is on its way. */
const longestHandoverMs = 2000
const handoverPauseMs = 10

export function createInboxes(
  given: Omit<InboxDeps, 'ready' | 'holdBytes'> & {
    limits: InboxLimits
    clock: Clock
    log: Logger
  },
): Inboxes {
  const { clock, idClock, limits, ring, recent } = given
  const inboxes = new Map<UserId, Inbox>()
  const queue = createFairQueue<PushCall, Inbox>()
  const calls = new Set<PushCall>()
  /** Everything stored in inboxes that were forgotten lies at or below. */
  let forgotten = 0n
  /** By shard epoch: what forgotten inboxes had read of the tenure before, and may not read again. */
  const passed = new Map<number, { epoch: bigint; inherited: Map<UserId, Inherited> }>()
  let heldBytes = 0
  let inFlight = 0
  let isScheduled = false
  let isDraining = false
  let drained: (() => void) | undefined

  const deps: InboxDeps = {
    ...given,
    ready(inbox, call) {
      queue.add(call, inbox)
      schedule()
    },
    holdBytes(difference) {
      heldBytes += difference
    },
  }

  /** All that comes in one turn of the loop is written together. */
  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      while (inFlight < limits.inFlight) {
        const inbox = queue.take()
        if (inbox === undefined) break
        void work(inbox)
      }
      if (isDraining && calls.size === 0 && inFlight === 0) drained?.()
    })
  }

  async function work(inbox: Inbox): Promise<void> {
    inFlight += 1
    await inbox.work()
    inFlight -= 1
    inbox.lastUsedMs = clock.monotonicMs()
    const call = inbox.nextCall
    if (call) queue.add(call, inbox)
    if (call || queue.size > 0 || isDraining) schedule()
  }

  function get(user: UserId): Inbox {
    const known = inboxes.get(user)
    if (known !== undefined && ring.canGive(known.tenure)) return known
    const owner = ring.ownerOf(user)
    if (owner.kind === 'elsewhere') throw new NotOwner()
    const { tenure } = owner
    const { floor, shard, epoch } = tenure
    if (known !== undefined) discard(known)
    const before = passed.get(shard)
    const inherited = before?.epoch === epoch ? before.inherited.get(user) : undefined
    const baseline = forgotten > floor ? forgotten : floor
    const inbox = new Inbox({ user, tenure, baseline, inherited }, deps)
    inbox.lastUsedMs = clock.monotonicMs()
    inboxes.set(user, inbox)
    return inbox
  }

  function own(user: UserId): Inbox | undefined {
    try {
      return get(user)
    } catch (error) {
      if (error instanceof NotOwner) return undefined
      throw error
    }
  }

  function discard(inbox: Inbox): void {
    inboxes.delete(inbox.user)
    inbox.discard()
  }

  function remember({ user, passed: inherited, tenure: { shard, epoch } }: Inbox): void {
    if (inherited === undefined) return
    let known = passed.get(shard)
    if (known?.epoch !== epoch) {
      known = { epoch, inherited: new Map() }
      passed.set(shard, known)
    }
    known.inherited.set(user, inherited)
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs()
    for (const call of calls) {
      if (nowMs - call.startedMs < limits.appendTimeoutMs) break
      call.expire()
    }
    for (const [user, inbox] of inboxes) {
      if (inbox.waitingCount > 0) inbox.dropExpired(nowMs - limits.appendTimeoutMs)
      if (!inbox.isIdle || nowMs - inbox.lastUsedMs < forgetAfterMs) continue
      const ticks = ticksOf(inbox.position) ?? 0n
      if (ticks > forgotten) forgotten = ticks
      remember(inbox)
      inboxes.delete(user)
    }
  }

  ring.listen({
    async onReleasing(shards) {
      const isBusy = (inbox: Inbox): boolean =>
        inbox.isWorking && shards.includes(inbox.tenure.shard)
      const untilMs = clock.monotonicMs() + longestHandoverMs
      while (clock.monotonicMs() < untilMs && inboxes.values().some(isBusy)) {
        await clock.sleep(handoverPauseMs)
      }
    },
    onLost(shards) {
      for (const inbox of inboxes.values()) {
        if (shards.includes(inbox.tenure.shard)) discard(inbox)
      }
      for (const shard of shards) passed.delete(shard)
    },
  })

  return {
    get,
    find: (user) => inboxes.get(user),
    async newPosition(user) {
      if (ring.hasRivals) await get(user).prepare()
      const ticks = idClock.peek()
      // A successor must not give out an id below the position either.
      await ring.raiseTo(ticks)
      const inbox = get(user)
      // Ids that were given out and are not settled may lie below.
      if (!inbox.isQuiet) return inbox.position
      idClock.raise(ticks)
      return positionAfter(ticks)
    },
    get size() {
      return inboxes.size
    },
    async append(appends) {
      // Where there are others, the inboxes are theirs by now.
      if (isDraining && !ring.hasRivals)
        throw new Unavailable('gundeck is stopping', { retryAfterSeconds: 1 })
      const bytes = appends.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      // One call that is larger than everything may pass when nothing else waits.
      if (heldBytes > 0 && heldBytes + bytes > limits.waitingBytes) {
        throw new Unavailable('too much waits to be stored', { retryAfterSeconds: 2 })
      }
      const call = new PushCall(appends.length, clock.monotonicMs())
      calls.add(call)
      try {
        for (const [index, append] of appends.entries()) {
          const inbox = own(append.user)
          if (inbox === undefined) {
            call.settle(index, { kind: 'not-owner' })
          } else if (inbox.waitingCount >= limits.waitingPerInbox) {
            const error = new Unavailable('the inbox is full', { retryAfterSeconds: 2 })
            call.settle(index, { kind: 'failed', error })
          } else {
            inbox.append(append, call, index)
          }
        }
        return await call.done
      } catch (error) {
        // What was taken up goes on; nobody waits for it any more.
        call.expire()
        throw error
      } finally {
        calls.delete(call)
        if (isDraining) schedule()
      }
    },
    async run(signal) {
      let turnsAt = clock.monotonicMs() + 60_000
      try {
        for (;;) {
          await clock.sleep(1000, signal)
          sweep()
          if (clock.monotonicMs() >= turnsAt) {
            recent.turn()
            turnsAt += 60_000
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
    drain() {
      isDraining = true
      const { promise, resolve } = Promise.withResolvers<void>()
      drained = resolve
      schedule()
      return promise
    },
  }
}
