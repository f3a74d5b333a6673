import type { Logger } from 'pino'
import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { msOfTicks, ticksOf, ticksOfMs } from '../../../platform/time-uuid.ts'
import { eventTime } from '../rules/event-time.ts'
import { positionAfter } from '../rules/notification-id.ts'
import type { NotificationIds } from '../rules/notification-id.ts'
import { fillTimes, timesFrom, visiblePayload } from '../rules/payload.ts'
import type { ClientDelivery, StoredDelivery } from '../rules/payload.ts'
import { epochOf, tenureText } from '../store/notifications.ts'
import type { NotificationRow, NotificationStore } from '../store/notifications.ts'
import type { Append, AppendOutcome } from './append.ts'
import type { Attachment } from './cannon-link.ts'
import type { IdClock } from './id-clock.ts'
import type { PushCall } from './push-call.ts'
import type { RecentRequests } from './recent-requests.ts'
import { NotOwner } from '../ring/ring.ts'
import type { Ring, RingHooks, Tenure } from '../ring/ring.ts'

/** Steps of an append at which tests hold the process up or end it. */
export type InboxStep =
  | 'given-ids'
  | 'bucket-opened'
  | 'committed'
  | 'fenced'
  | 'answered'
  | 'pushed'
export interface GundeckHooks extends RingHooks {
  at?(step: InboxStep, user: UserId): Promise<void> | void
}

/** What all inboxes of a process share. */
export interface InboxDeps {
  readonly store: NotificationStore
  readonly ring: Ring
  readonly idClock: IdClock
  readonly ids: NotificationIds
  readonly recent: RecentRequests
  readonly clock: Clock
  readonly log: Logger
  readonly hooks: GundeckHooks | undefined
  /** Aborted when the process stops for good; batches in doubt are given up then. */
  readonly signal: AbortSignal
  /** The inbox has something to do, on behalf of this call. */
  ready(inbox: Inbox, call: PushCall): void
  /** Counts what appends take in memory, until they are finished. */
  holdBytes(difference: number): void
  /** After the sockets: who was not reached there may be woken otherwise. */
  stored?(append: Append, id: NotificationId, attachments: readonly Attachment[]): void
}

interface Entry {
  readonly append: Append
  readonly waiters: { readonly call: PushCall; readonly index: number }[]
  /** Known not to be in the store from an earlier attempt. */
  isNew: boolean
}

/** Requests that the tenure before left, with the event times of their rows. */
export type Inherited = ReadonlyMap<string, { readonly timeMs: number | undefined }>
export const nothingInherited: Inherited = new Map()

interface OpenBucket {
  readonly id: NotificationId
  bytes: number
  readonly openedMs: number
}

interface Placed {
  readonly entry: Entry
  readonly id: NotificationId
  readonly timeMs: number | undefined
  readonly deliveries: readonly ClientDelivery[]
}

/** Sockets of one user; the oldest gives way. */
const largestAttachments = 75
const largestBatchBytes = 1024 * 1024
const largestBucketBytes = 10 * 1024 * 1024
const longestBucketMs = 24 * 60 * 60 * 1000
/** Rows of the owner before us that may be asked for again: galley repeats for seconds. */
const seedTicks = ticksOfMs(70_000) - ticksOfMs(0)
/** Clocks and queues may make a first attempt older than its caller thinks. */
const attemptSlackMs = 10_000
const firstRepeatMs = 20
const longestRepeatMs = 1000

/**
 * One user's inbox: gives out ids, makes appends durable one batch after another, pushes them to
 * the sockets. Only one process does so at a time, see `Ring`.
 */
export class Inbox {
  readonly user: UserId
  readonly tenure: Tenure
  readonly #deps: InboxDeps
  /** Everything that was ever stored here before this object lies at or below. */
  readonly #baseline: bigint
  #attachments: Attachment[] = []
  #waiting: Entry[] = []
  #pending: Map<string, Entry> | undefined
  /** Read once, before the tenure's first id and first answer to an attachment, and kept. */
  #inherited: Inherited | undefined
  readonly #given: Inherited | undefined
  #loading: Promise<void> | undefined
  #isOver = false
  /** Whether an id was given out in this tenure: rows of earlier owners come too late from then. */
  #hasGivenIds = false
  #bucket: OpenBucket | undefined
  #lastTimeMs: number | undefined
  #settled: NotificationId | undefined
  isWorking = false
  lastUsedMs = 0

  /** @param inherited What an earlier object for this inbox read in the same tenure. */
  constructor(
    place: { user: UserId; tenure: Tenure; baseline: bigint; inherited: Inherited | undefined },
    deps: InboxDeps,
  ) {
    this.user = place.user
    this.tenure = place.tenure
    this.#baseline = place.baseline
    this.#given = place.inherited
    this.#deps = deps
  }

  /** The greatest id that is committed and fenced, or a position above everything earlier. */
  get position(): NotificationId {
    return this.#settled ?? positionAfter(this.#baseline)
  }

  get attachments(): readonly Attachment[] {
    return this.#attachments
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** The call on whose behalf the next batch is written. */
  get nextCall(): PushCall | undefined {
    return this.#waiting[0]?.waiters[0]?.call
  }

  /** Nothing is on its way into the store. */
  get isQuiet(): boolean {
    return !this.isWorking && this.#waiting.length === 0
  }

  get isIdle(): boolean {
    return this.isQuiet && this.#attachments.length === 0
  }

  /** The tenure has ended, or is about to. */
  get isOver(): boolean {
    return this.#isOver || !this.#deps.ring.canGive(this.tenure)
  }

  /**
   * What must not be read again in this tenure, for the next object; nothing when the store tells.
   */
  get passed(): Inherited | undefined {
    const isNeeded = this.#deps.ring.hasRivals && (!this.#hasGivenIds || this.#inherited?.size)
    return isNeeded ? this.#inherited : undefined
  }

  /** Whether an attachment may be answered. */
  get isPrepared(): boolean {
    return !this.#deps.ring.hasRivals || this.#inherited !== undefined
  }

  /** Resolves when an attachment may be answered. */
  async prepare(): Promise<void> {
    if (this.#inherited === undefined) await this.#load()
  }

  /** Somebody else owns the inbox: nothing that waits or is attached here has a future. */
  discard(): void {
    this.#isOver = true
    this.#failWaiting({ kind: 'not-owner' })
    for (const attachment of this.#attachments.slice()) attachment.link.lose(attachment)
  }

  attach(attachment: Attachment): NotificationId {
    for (const other of this.#attachments.slice()) {
      if (other.connection === attachment.connection) other.link.close(other, 'replaced')
    }
    const [oldest] = this.#attachments
    if (oldest && this.#attachments.length >= largestAttachments) {
      oldest.link.close(oldest, 'replaced')
    }
    this.#attachments.push(attachment)
    return this.position
  }

  detach(attachment: Attachment): void {
    this.#attachments = this.#attachments.filter((other) => other !== attachment)
  }

  append(append: Append, call: PushCall, index: number): void {
    if (append.isTransient) {
      call.settle(index, { kind: 'stored', timeMs: undefined })
      if (this.#attachments.length === 0) return
      this.#enqueue({ append, waiters: [{ call, index }], isNew: true })
      return
    }
    const pending = this.#pending?.get(append.request)
    if (pending) {
      pending.waiters.push({ call, index })
      return
    }
    const known =
      this.#deps.recent.find(this.user, append.request) ?? this.#inherited?.get(append.request)
    if (known) {
      call.settle(index, { kind: 'stored', timeMs: known.timeMs })
      return
    }
    const entry: Entry = {
      append,
      waiters: [{ call, index }],
      isNew: append.firstAttemptAgeMs === undefined,
    }
    this.#pending ??= new Map()
    this.#pending.set(append.request, entry)
    this.#enqueue(entry)
  }

  #enqueue(entry: Entry): void {
    this.#waiting.push(entry)
    this.#deps.holdBytes(entry.append.sizeBytes)
    const call = entry.waiters[0]?.call
    if (!this.isWorking && this.#waiting.length === 1 && call) this.#deps.ready(this, call)
  }

  /** Writes one batch of what waits. Never rejects. */
  async work(): Promise<void> {
    const { ring, log } = this.#deps
    this.isWorking = true
    let batch: readonly Placed[] = []
    try {
      const { tenure } = this
      if (!ring.canGive(tenure)) {
        this.#failWaiting({ kind: 'not-owner' })
        return
      }
      if (this.#inherited === undefined) await this.#load()
      await this.#answerRepeats(tenure)
      batch = await this.#place()
      await this.#deps.hooks?.at?.('given-ids', this.user)
      const durable = batch.filter(({ entry }) => !entry.append.isTransient)
      if (durable.length > 0 && !(await this.#store(durable, tenure))) {
        this.#settle(batch, { kind: 'not-owner' })
        this.#failWaiting({ kind: 'not-owner' })
        return
      }
      this.#settle(batch, undefined)
      await this.#deps.hooks?.at?.('answered', this.user)
      this.#push(batch)
      await this.#deps.hooks?.at?.('pushed', this.user)
    } catch (cause) {
      if (!(cause instanceof Unavailable)) log.error({ err: cause }, 'append failed')
      const error = cause instanceof Error ? cause : new Error('append failed', { cause })
      if (cause instanceof NotOwner) {
        this.#failWaiting({ kind: 'not-owner' })
        return
      }
      // Before ids were given nothing says which entries were at fault: all of them may try again.
      if (batch.length > 0) this.#settle(batch, { kind: 'failed', error })
      else this.#failWaiting({ kind: 'failed', error })
    } finally {
      this.isWorking = false
    }
  }

  #load(): Promise<void> {
    this.#loading ??= this.#readInherited().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  /**
   * Learns what earlier owners left. What they committed by now may be acknowledged, because it lies
   * below all ids and positions to come. What lands later may not: a reader may be past it already.
   */
  async #readInherited(): Promise<void> {
    const { store, ring, clock } = this.#deps
    const { epoch, floor } = this.tenure
    const newest = (await store.buckets(this.user)).at(-1)
    if (newest !== undefined && (ticksOf(newest.id) ?? 0n) > floor) {
      this.#bucket = { id: newest.id, bytes: 0, openedMs: clock.monotonicMs() }
      this.#hasGivenIds = true
      this.#inherited = this.#given ?? nothingInherited
      return
    }
    if (newest === undefined || this.#given !== undefined) {
      this.#inherited = this.#given ?? nothingInherited
      return
    }
    const found = new Map<string, { readonly timeMs: number | undefined }>()
    const ages = this.#waiting.map(({ append }) => append.firstAttemptAgeMs ?? 0)
    const oldestTicks = ticksOfMs(Math.ceil(Math.max(0, ...ages)) + attemptSlackMs) - ticksOfMs(0)
    const reach = oldestTicks > seedTicks ? oldestTicks : seedTicks
    // A row of an owner before the last may land between those of its successors.
    const isInherited = ({ tenure }: { tenure: string }): boolean =>
      !ring.hasRivals || epochOf(tenure) === epoch - 1n
    const after = positionAfter(notBelowZero(floor - reach))
    for await (const rows of store.readAfter(this.user, after, isInherited)) {
      for (const { request, timeMs } of rows) found.set(request, { timeMs })
    }
    if (found.size > 0 && !(await this.#isHeld(this.tenure))) throw new NotOwner()
    this.#inherited ??= found.size > 0 ? found : nothingInherited
  }

  /** Calls that say they are repeats, and are not remembered: the store knows. */
  async #answerRepeats(tenure: Tenure): Promise<void> {
    const { store, recent, idClock, ring } = this.#deps
    const asked = this.#waiting.filter(({ isNew }) => !isNew)
    if (asked.length === 0) return
    const ageMs = Math.max(...asked.map(({ append }) => append.firstAttemptAgeMs ?? 0))
    const ticksAgo = ticksOfMs(Math.ceil(ageMs) + attemptSlackMs) - ticksOfMs(0)
    // A first attempt before this tenure: see `#readInherited` for which of its rows count.
    const isBelowRead = ring.hasRivals || this.#hasGivenIds
    const before = isBelowRead ? tenure.floor : tenure.floor - ticksAgo
    const ago = idClock.positionAgo(ageMs + attemptSlackMs) ?? before
    const after = ring.hasRivals && ago < before ? before : ago
    const wanted = new Map(asked.map((entry) => [entry.append.request, entry]))
    const found = new Map<Entry, NotificationRow>()
    for await (const rows of store.readAfter(this.user, positionAfter(notBelowZero(after)))) {
      for (const row of rows) {
        const entry = wanted.get(row.request)
        if (entry) found.set(entry, row)
      }
      if (found.size === wanted.size) break
    }
    if (found.size > 0 && !(await this.#isHeld(tenure))) return
    for (const entry of asked) {
      const { request } = entry.append
      const row =
        found.get(entry) ?? recent.find(this.user, request) ?? this.#inherited?.get(request)
      if (row) {
        recent.add(this.user, request, row.timeMs)
        this.#finish(entry, { kind: 'stored', timeMs: row.timeMs })
        this.#unqueue(entry)
      } else {
        entry.isNew = true
      }
    }
  }

  /** Takes a batch from what waits and gives it ids and times. */
  async #place(): Promise<Placed[]> {
    const { idClock, ids, ring } = this.#deps
    const batch: Placed[] = []
    let bytes = 0
    for (;;) {
      const [entry] = this.#waiting
      if (entry === undefined) break
      if (!ring.canGive(this.tenure)) {
        this.#failWaiting({ kind: 'not-owner' })
        break
      }
      const { append } = entry
      if (!append.isTransient && entry.waiters.every(({ call }) => call.isOver)) {
        this.dropExpired(0)
        continue
      }
      if (!entry.isNew || (batch.length > 0 && bytes + append.sizeBytes > largestBatchBytes)) break

      const next = idClock.peek()
      let timeMs: number | undefined
      let lastTimeMs = this.#lastTimeMs
      let ticks = next
      if (append.eventTimeMs !== undefined) {
        const baselineMs = msOfTicks(this.#baseline)
        timeMs = eventTime(append.eventTimeMs, msOfTicks(next), lastTimeMs, baselineMs)
        const slots = append.deliveries.map(({ template }) => template.timeSlots.length)
        lastTimeMs = timeMs + Math.max(1, ...slots) - 1
        if (ticksOfMs(lastTimeMs) > ticks) ticks = ticksOfMs(lastTimeMs)
      }
      if (ticks > ring.ceiling) {
        if (batch.length > 0) break
        await ring.raiseTo(ticks)
        continue
      }
      // No pause between looking at the ceiling and taking the id.
      const id = ids.make(this.user, idClock.next(ticks))
      this.#lastTimeMs = lastTimeMs
      this.#unqueue(entry)
      bytes += append.sizeBytes
      batch.push({ entry, id, timeMs, deliveries: fillDeliveries(append, timeMs) })
    }
    return batch
  }

  /** False when the inbox belongs to somebody else; the rows then lie below everything to come. */
  async #store(batch: readonly Placed[], tenure: Tenure): Promise<boolean> {
    const { store, ring, clock, hooks } = this.#deps
    const [first] = batch
    if (first === undefined) return true
    this.#hasGivenIds = true
    const bytes = batch.reduce((sum, { entry }) => sum + entry.append.sizeBytes, 0)
    let bucket = this.#bucket
    if (bucket === undefined || this.#isFull(bucket, bytes, first.id)) {
      // If the outcome is unknown an empty bucket may appear, which harms nobody.
      await store.openBucket(this.user, first.id, tenureText(tenure.epoch, ring.id))
      bucket = { id: first.id, bytes: 0, openedMs: clock.monotonicMs() }
      this.#bucket = bucket
      await hooks?.at?.('bucket-opened', this.user)
    }
    bucket.bytes += bytes
    const rows = batch.map((placed) => rowOf(placed))
    if (!(await this.#commit(bucket.id, rows, tenure))) return false
    await hooks?.at?.('committed', this.user)
    if (!(await this.#isHeld(tenure))) return false
    await hooks?.at?.('fenced', this.user)
    return true
  }

  #isFull(bucket: OpenBucket, bytes: number, next: NotificationId): boolean {
    // By both clocks: ids may stand still behind a floor, and the process may have restarted.
    const idMs = msOfTicks((ticksOf(next) ?? 0n) - (ticksOf(bucket.id) ?? 0n) + ticksOfMs(0))
    const ageMs = this.#deps.clock.monotonicMs() - bucket.openedMs
    return (
      bucket.bytes + bytes > largestBucketBytes || idMs > longestBucketMs || ageMs > longestBucketMs
    )
  }

  /**
   * False when the inbox was given up before the outcome was known. A batch that may have been
   * written is repeated, with the same ids, before any other: later ids never overtake it.
   */
  async #commit(
    bucket: NotificationId,
    rows: readonly NotificationRow[],
    tenure: Tenure,
  ): Promise<boolean> {
    const { store, ring, clock, log, signal } = this.#deps
    let isInDoubt = false
    for (let waitMs = firstRepeatMs; ; waitMs = Math.min(waitMs * 2, longestRepeatMs)) {
      try {
        await store.append(this.user, bucket, rows)
        return true
      } catch (error) {
        if (!isInDoubt && !(error instanceof UnknownOutcome)) throw error
        isInDoubt = true
        log.warn({ err: error, rows: rows.length }, 'batch in doubt, repeating')
      }
      if (signal.aborted || !ring.holds(tenure)) return false
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #isHeld(tenure: Tenure): Promise<boolean> {
    const { ring, clock, signal } = this.#deps
    for (let waitMs = firstRepeatMs; ; waitMs = Math.min(waitMs * 2, longestRepeatMs)) {
      try {
        return await ring.isHeld(tenure)
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
      }
      if (signal.aborted) return false
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  /** @param failure Absent when the batch is durable. */
  #settle(batch: readonly Placed[], failure: AppendOutcome | undefined): void {
    for (const { entry, id, timeMs } of batch) {
      if (failure === undefined && !entry.append.isTransient) {
        this.#settled = id
        this.#deps.recent.add(this.user, entry.append.request, timeMs)
      }
      this.#finish(entry, failure ?? { kind: 'stored', timeMs })
    }
  }

  /** Ends an entry, once, whatever became of it. */
  #finish(entry: Entry, outcome: AppendOutcome): void {
    this.#deps.holdBytes(-entry.append.sizeBytes)
    if (!entry.append.isTransient) this.#pending?.delete(entry.append.request)
    if (this.#pending?.size === 0) this.#pending = undefined
    for (const { call, index } of entry.waiters) call.settle(index, outcome)
  }

  #failWaiting(outcome: AppendOutcome): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const entry of waiting) this.#finish(entry, outcome)
  }

  #unqueue(entry: Entry): void {
    if (this.#waiting[0] === entry) this.#waiting.shift()
    else this.#waiting = this.#waiting.filter((other) => other !== entry)
  }

  /**
   * Forgets what nobody waits for any more and nothing was written of; transient notifications, for
   * which nobody ever waits, when they came before `sinceMs`.
   */
  dropExpired(sinceMs: number): void {
    const isExpired = ({ append, waiters }: Entry): boolean =>
      waiters.every(({ call }) => call.isOver && (!append.isTransient || call.startedMs < sinceMs))
    const expired = this.#waiting.filter(isExpired)
    if (expired.length === 0) return
    this.#waiting = this.#waiting.filter((entry) => !isExpired(entry))
    for (const entry of expired) this.#finish(entry, { kind: 'not-owner' })
  }

  #push(batch: readonly Placed[]): void {
    const deps = this.#deps
    for (const { entry, id, deliveries } of batch) {
      const { append } = entry
      // A copy: an attachment whose window is full goes away.
      for (const attachment of this.#attachments.slice()) {
        if (attachment.connection === append.origin) continue
        const payload = visiblePayload(deliveries, attachment.client)
        if (payload === undefined) continue
        attachment.link.push(attachment, id, payload, append.isTransient)
      }
      if (!append.isTransient) deps.stored?.(append, id, this.#attachments)
    }
  }

  /** Closes the sockets of a client, or of all. */
  closeSockets(client: ClientId | undefined): void {
    for (const attachment of this.#attachments.slice()) {
      if (client === undefined) attachment.link.close(attachment, 'user-removed')
      else if (attachment.client === client) attachment.link.close(attachment, 'client-removed')
    }
  }
}

const notBelowZero = (ticks: bigint): bigint => (ticks < 0n ? 0n : ticks)

function fillDeliveries(append: Append, timeMs: number | undefined): ClientDelivery[] {
  const times = timeMs === undefined ? undefined : timesFrom(timeMs)
  return append.deliveries.map(({ clients, template }) => ({
    clients,
    payload: times === undefined ? template.text : fillTimes(template, times),
  }))
}

function rowOf({ entry, id, timeMs, deliveries }: Placed): NotificationRow {
  const { append } = entry
  return {
    id,
    request: append.request,
    timeMs,
    origin: append.origin,
    deliveries: deliveries.map((delivery, index): StoredDelivery => {
      const sharedPayload = append.deliveries[index]?.sharedPayload
      return sharedPayload === undefined ? delivery : { clients: delivery.clients, sharedPayload }
    }),
  }
}
