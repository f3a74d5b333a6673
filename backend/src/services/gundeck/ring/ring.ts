import { Unavailable } from '../../../contract/error.ts'
import type { RingMap } from '../../../contract/gundeck/ring.ts'
import type { UserId } from '../../../contract/ids.ts'

/** One stretch of time in which this process owns a shard. */
export interface Tenure {
  readonly shard: number
  /** Counts the shard's owners. */
  readonly epoch: bigint
  /** Every id of earlier owners has at most these ticks. */
  readonly floor: bigint
}

export type Owner =
  | { readonly kind: 'here'; readonly tenure: Tenure }
  | {
      readonly kind: 'elsewhere'
      /** Undefined while nobody owns it, or nobody is known to. */
      readonly owner: { readonly id: string; readonly address: string } | undefined
    }

/** The inbox has another owner, or this process may not say that it is the one. */
export class NotOwner extends Unavailable {
  constructor() {
    super('the inbox is owned elsewhere', { retryAfterSeconds: 1 })
    this.name = 'NotOwner'
  }
}

/** Those who keep inboxes learn that shards go. */
export interface RingListener {
  /** No more ids for these; resolves when what has one is through, or has waited long enough. */
  onReleasing(shards: readonly number[]): Promise<void>
  /** Somebody else owns these, or nobody. */
  onLost(shards: readonly number[]): void
}

/** Steps of the ring at which tests hold the process up or end it. */
export type RingStep =
  | 'registered'
  | 'raising'
  | 'raised'
  | 'taking-over'
  | 'took-over'
  | 'releasing'
  | 'released'
export interface RingHooks {
  atRing?(step: RingStep): Promise<void> | void
}

/** Which inboxes this process owns, who owns the others, and which ids may be given out. */
export interface Ring {
  /** This start of this instance. */
  readonly id: string
  /**
   * Whether earlier owners of a shard may still be at work. If not, nothing lands in its inboxes
   * that this process did not write.
   */
  readonly hasRivals: boolean
  ownerOf(user: UserId): Owner
  /** Whether the tenure has not ended, as far as this process knows. */
  holds(tenure: Tenure): boolean
  /** And whether ids may be given out in it: not while it is handed over. */
  canGive(tenure: Tenure): boolean
  /** No id may have later ticks. */
  readonly ceiling: bigint
  /** Resolves when ids up to at least these ticks may be given out; rejects when they may not. */
  raiseTo(ticks: bigint): Promise<void>
  /**
   * Whether the shard is still owned under the same epoch, by a read that began after this call.
   * One read answers all calls of that moment. Rejects with `Unavailable` when it cannot be read.
   */
  isHeld(tenure: Tenure): Promise<boolean>
  /** Whether others let this process own inboxes: its sign of life was noted a moment ago. */
  readonly isAlive: boolean
  /** Whether this host's clock agrees with the others': what is old or late may be told by it. */
  readonly isClockBelieved: boolean
  readonly map: RingMap
  /** Reads the ring again, if this version is newer than the one known. */
  refresh(version: number): Promise<void>
  /** Resolves when this process knows a newer version. */
  readonly nextVersion: Promise<void>
  listen(listener: RingListener): void
  /** Gives out nothing more and leaves the shards to others, or to whoever comes next. */
  release(): Promise<void>
  run(signal: AbortSignal): Promise<void>
}
