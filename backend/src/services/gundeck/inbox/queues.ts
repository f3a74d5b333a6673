import type { Logger } from 'pino'
import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import {
  compareTimeUuid,
  microsOfTicks,
  msOfTicks,
  ticksOf,
  ticksOfMs,
} from '../../../platform/time-uuid.ts'
import { doneUpTo } from '../rules/acknowledged.ts'
import { hasMissed } from '../rules/missed.ts'
import { positionAfter } from '../rules/notification-id.ts'
import type { Cursor, CursorStore } from '../store/cursors.ts'
import { rowTtlSeconds } from '../store/notifications.ts'
import type { NotificationStore } from '../store/notifications.ts'
import type { IdClock } from './id-clock.ts'
import { Unavailable } from '../../../contract/error.ts'
import { NotOwner } from '../ring/ring.ts'
import type { Ring } from '../ring/ring.ts'
import type { Inboxes } from './inboxes.ts'

export interface Queue {
  readonly cursor: NotificationId
  readonly acknowledged: readonly NotificationId[]
  readonly hasMissed: boolean
}

export interface Acknowledgement {
  readonly user: UserId
  readonly client: ClientId
  readonly cursor: NotificationId
  readonly acknowledged: readonly NotificationId[]
  readonly hasSynchronised?: boolean | undefined
}

/** What each client has acknowledged, and the erasing of what all have. */
export interface Queues {
  openClient(user: UserId, client: ClientId, isAcknowledging: boolean): Promise<void>
  closeClient(user: UserId, client: ClientId): Promise<void>
  closeAll(user: UserId): Promise<void>
  /** Undefined when the client does not exist or does not acknowledge. */
  open(user: UserId, client: ClientId): Promise<Queue | undefined>
  acknowledge(acknowledgements: readonly Acknowledgement[]): Promise<void>
  /** Erases behind acknowledgements, a moment after them. */
  run(signal: AbortSignal): Promise<void>
}

/** A cursor in front of nothing is moved up when it is older, lest it looks as if rows expired. */
const idleCursorMs = 24 * 60 * 60 * 1000
const ticksPerMicro = 10n
const eraseEveryMs = 1000
/** Users whose rows may be erased and whose turn has not come; the others' rows go by age. */
const largestErasing = 10_000

export function createQueues(deps: {
  cursors: CursorStore
  store: NotificationStore
  inboxes: Inboxes
  ring: Ring
  idClock: IdClock
  clock: Clock
  log: Logger
}): Queues {
  const { cursors, store, inboxes, ring, idClock, clock, log } = deps
  /** Users with new acknowledgements; up to where each was erased, if known. */
  const erasing = new Map<UserId, NotificationId | undefined>()
  const erased = new Map<UserId, NotificationId>()
  /** One change of a user's cursors at a time: they are read, compared and written. */
  const changes = new Map<UserId, Promise<void>>()

  /** Rises with every call, and lies below what a successor writes with. */
  async function writtenAtMicros(): Promise<bigint> {
    const ticks = idClock.next(idClock.last + ticksPerMicro)
    if (ticks > ring.ceiling) await ring.raiseTo(ticks)
    return microsOfTicks(ticks)
  }

  /**
   * Changes cursors as the owner of the inbox, and answers only if it still was the owner afterwards:
   * a successor may have read the cursor before.
   */
  async function asOwner<T>(user: UserId, change: () => Promise<T>): Promise<T> {
    if (!ring.hasRivals) return change()
    const { tenure } = inboxes.get(user)
    const result = await change()
    if (!(await ring.isHeld(tenure))) throw new NotOwner()
    return result
  }

  async function oneAtATime<T>(user: UserId, change: () => Promise<T>): Promise<T> {
    const before = changes.get(user)
    const { promise, resolve } = Promise.withResolvers<void>()
    changes.set(user, promise)
    await before
    try {
      return await asOwner(user, change)
    } finally {
      if (changes.get(user) === promise) changes.delete(user)
      resolve()
    }
  }

  /** Just in front of the oldest row that has not expired, or the present. */
  async function oldestPosition(user: UserId): Promise<NotificationId> {
    const horizon = positionAfter(ticksOfMs(clock.nowMs() - rowTtlSeconds * 1000))
    const present = await inboxes.newPosition(user)
    for await (const [oldest] of store.readAfter(user, horizon)) {
      if (oldest !== undefined) return positionAfter((ticksOf(oldest.id) ?? 1n) - 1n)
    }
    return present
  }

  async function acknowledgeOne(given: Acknowledgement): Promise<void> {
    const { user, client } = given
    const before = (await cursors.get(user, client))?.seen
    if (before === undefined) return
    let cursor = latest(before.cursor, given.cursor)
    if (given.hasSynchronised) cursor = latest(cursor, await oldestPosition(user))
    const acknowledged = [...new Set([...before.acknowledged, ...given.acknowledged])].filter(
      (id) => compareTimeUuid(id, cursor) > 0,
    )
    const seen = { begin: before.begin, cursor, acknowledged }
    await cursors.put(user, { client, seen }, await writtenAtMicros())
    planErasing(user)
  }

  function planErasing(user: UserId): void {
    if (erasing.size < largestErasing) erasing.set(user, erased.get(user))
  }

  async function erase(user: UserId, after: NotificationId | undefined): Promise<void> {
    const all = await cursors.list(user)
    const slowest = slowestCursor(all)
    if (slowest === undefined) return
    if (after !== undefined && compareTimeUuid(slowest, after) <= 0) return
    await store.erase(user, after, slowest)
    if (erased.size >= largestErasing) erased.clear()
    erased.set(user, slowest)
  }

  return {
    openClient: (user, client, isAcknowledging) =>
      oneAtATime(user, async () => {
        const before = await cursors.get(user, client)
        if (before !== undefined && (before.seen !== undefined) === isAcknowledging) return
        const begin = isAcknowledging ? await inboxes.newPosition(user) : undefined
        const seen = begin && { begin, cursor: begin, acknowledged: [] }
        await cursors.put(user, { client, seen }, await writtenAtMicros())
      }),
    closeClient: (user, client) =>
      oneAtATime(user, async () => {
        await cursors.remove(user, client)
        erasing.set(user, erased.get(user))
      }),
    closeAll: (user) => oneAtATime(user, () => cursors.removeAll(user)),
    async open(user, client) {
      const found = (await cursors.get(user, client))?.seen
      if (found === undefined) return undefined
      // An earlier process may have ended between an acknowledgement and the erasing.
      if (!erased.has(user)) planErasing(user)
      const { cursor, acknowledged } = found
      const cursorMs = msOfTicks(ticksOf(cursor) ?? 0n)
      const nowMs = clock.nowMs()
      const bucketsMs = (await store.buckets(user)).map(({ id }) => msOfTicks(ticksOf(id) ?? 0n))
      const isMissing = hasMissed(cursorMs, nowMs, bucketsMs)
      if ((isMissing || nowMs - cursorMs > idleCursorMs) && !ring.isClockBelieved) {
        throw new Unavailable('the clock of this host is not believed')
      }
      if (!isMissing && nowMs - cursorMs > idleCursorMs) {
        const position = await inboxes.newPosition(user)
        for await (const rows of store.readAfter(user, cursor)) {
          if (rows.length > 0) return { cursor, acknowledged, hasMissed: false }
        }
        await oneAtATime(user, () =>
          acknowledgeOne({ user, client, cursor: position, acknowledged: [] }),
        )
      }
      return { cursor, acknowledged, hasMissed: isMissing }
    },
    async acknowledge(acknowledgements) {
      await Promise.all(
        acknowledgements.map((given) => oneAtATime(given.user, () => acknowledgeOne(given))),
      )
    },
    async run(signal) {
      try {
        for (;;) {
          await clock.sleep(eraseEveryMs, signal)
          for (const [user, after] of erasing) {
            erasing.delete(user)
            try {
              await erase(user, after)
            } catch (error) {
              log.warn({ err: error }, 'acknowledged rows not erased, trying again')
              if (!erasing.has(user)) erasing.set(user, after)
              // The store has a trouble that the other users would meet too.
              break
            }
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}

/** Where erasing may go; undefined while there is a client that may need what is there. */
function slowestCursor(all: readonly Cursor[]): NotificationId | undefined {
  let slowest: NotificationId | undefined
  for (const { seen } of all) {
    const done = seen && doneUpTo(seen)
    if (done === undefined) return undefined
    if (slowest === undefined || compareTimeUuid(done, slowest) < 0) slowest = done
  }
  return slowest
}

function latest(left: NotificationId, right: NotificationId): NotificationId {
  return compareTimeUuid(left, right) < 0 ? right : left
}
