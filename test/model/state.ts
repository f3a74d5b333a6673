/**
 * What the model of delivery remembers: one inbox, its shard, the instances that may own the shard,
 * and one client that reads the inbox.
 *
 * Everything is immutable; a step makes a new state. Ids are small whole numbers, 0 is none.
 */

/** The rules that can be taken out, to see that the model notices. */
export const ruleNames = [
  /** An append is answered only after a read of the ring still shows its shard epoch. */
  'fence',
  /** That read begins after the commit returned. */
  'fenceOrder',
  /** It compares the shard epoch, not only the owner. */
  'shardEpoch',
  /** No id above the ceiling in the ring. */
  'ceiling',
  /** A takeover raises the floor to the predecessor's ceiling. */
  'floor',
  /** A takeover applies only if the predecessor's line is as it was read. */
  'asRead',
  /** A raise of the ceiling applies only while the shard has not moved. */
  'raise',
  /** A write of unknown outcome is repeated with its id before any other of the inbox. */
  'repeat',
  /** After a release of unknown outcome an owner goes on only once a raise was applied. */
  'release',
  /** Of rows from before the tenure, only those read before its first id answer a repeat. */
  'inheritedRead',
  /** And only those of the tenure directly before. */
  'predecessorOnly',
  /** And no attachment is answered before they were read. */
  'readBeforeAttach',
  /** An attachment is answered with an id that is committed and fenced, else with the floor. */
  'attach',
  /** A cannon drops a push at or below its position. */
  'merge',
] as const
export type RuleName = (typeof ruleNames)[number]
export type Rules = Readonly<Record<RuleName, boolean>>

/** How far a run goes. */
export interface Bounds {
  readonly instances: number
  /** How far a raised ceiling lies above the last id: stands for two seconds. */
  readonly lead: number
  readonly reader: 'pages' | 'socket'
  /** At most so many takeovers and releases together, restarts, appends, repeated requests. */
  readonly moves: number
  readonly restarts: number
  readonly appends: number
  readonly repeats: number
}

/** A row of the inbox names the shard epoch under which its id was given. */
export interface Row {
  readonly id: number
  readonly request: number
  readonly epoch: number
}

export interface StoredRow extends Row {
  /** It landed after an owner of a later epoch gave out an id. */
  readonly isLate: boolean
}

/** An instance's line in the ring. `start` counts its starts (the instance's own epoch). */
export interface Registration {
  readonly start: number
  readonly sequence: number
  readonly ceiling: number
}

/** The shard's line in the ring. The owner is one start of one instance. */
export interface Shard {
  readonly owner: number
  readonly ownerStart: number
  readonly epoch: number
  readonly floor: number
}

/** A conditional write that hands the shard over and has not landed. */
export interface Release {
  readonly from: number
  readonly fromSequence: number
  readonly to: number
  readonly toStart: number
  readonly shardEpoch: number
  readonly floor: number
}

/**
 * A row in the hands of an instance, until its fence read. Whether it is committed is a question to
 * the store. `epoch` is the tenure that answers; that of the row is older if the row was found.
 */
export interface Batch {
  readonly row: Row
  readonly epoch: number
}

/** What an instance believes while it takes itself for the owner. */
export interface Tenure {
  readonly epoch: number
  readonly floor: number
  /** Greatest id committed and fenced in this tenure. */
  readonly fenced: number
  /** What the tenure before left, read before the first id and attachment. */
  readonly inherited: readonly Row[] | undefined
  readonly isReleasing: boolean
}

/** What an instance read of the ring a while ago: the shard, and its owner's line. */
export interface Sighting {
  readonly shard: Shard
  readonly registration: Registration
}

export interface Instance {
  readonly lastId: number
  readonly tenure: Tenure | undefined
  readonly batches: readonly Batch[]
  /** Only without a rule that makes it harmless to act on an old sighting. */
  readonly sighting: Sighting | undefined
}

/** An acknowledged row, and the epoch of the tenure that acknowledged it. */
export interface Answer {
  readonly row: Row
  readonly epoch: number
  /** The id lies below one that was acknowledged before this append began. */
  readonly isBelowEarlier: boolean
}

/** The client's socket: what its cannon knows. */
export interface Socket {
  /** None after the connection to the owner broke. */
  readonly attachment: { readonly owner: number; readonly epoch: number } | undefined
  /** Up to here nothing more goes out on this socket. */
  readonly position: number
  /** The answer of the owner: greater ids are pushed. */
  readonly until: number
  /** `paging`: the client reads a page itself. `gap`: the cannon reads up to `until`. */
  readonly mode: 'paging' | 'gap' | 'live'
  /** Pushes that wait while a page or the gap is read. */
  readonly waiting: readonly number[]
  readonly hasRepeated: boolean
}

export interface State {
  // The store
  readonly shard: Shard
  readonly registrations: readonly Registration[]
  readonly rows: readonly StoredRow[]
  // Conditional and plain writes on their way. Some never land.
  readonly release: Release | undefined
  readonly writes: readonly Row[]
  // The processes
  readonly instances: readonly Instance[]
  readonly socket: Socket | undefined
  /** Ids the client saw, ascending. It resumes after the last. */
  readonly seen: readonly number[]
  // What happened so far
  readonly answers: readonly Answer[]
  /** For each append that began and is not answered, the greatest id acknowledged before. */
  readonly begun: readonly number[]
  /** Greatest epoch under which an id was given out. */
  readonly givenEpoch: number
  readonly repeats: number
  readonly restarts: number
}
