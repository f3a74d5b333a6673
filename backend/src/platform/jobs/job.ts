/**
 * Work that is done once per cluster and outlives any one run of it: numbered steps, each recorded
 * in the journal when it is done, each with a cursor from which an interrupted run goes on.
 */

export interface Progress {
  /** Of whatever the step counts: rows, documents, statements. */
  readonly done: number
  readonly total?: number
}

export interface StepContext {
  /** What `save` was last given, by this run or one before; undefined at the very beginning. */
  readonly cursor: string | undefined
  /** What `save` was last given, for steps that count on. */
  readonly progress: Progress
  /** Aborted when the run is told to stop or may have lost its lock. */
  readonly signal: AbortSignal
  /**
   * Records that everything before the cursor is done; at most one piece of work is done twice.
   *
   * @throws the signal's reason, after saving, so that a step need not look at the signal itself
   * @throws {JobSuperseded} when another run has taken over
   */
  save(cursor: string, progress: Progress): Promise<void>
  /** Repeats what a store that is away refused, for up to a minute. The work must bear repeating. */
  patiently<Result>(work: () => Promise<Result>): Promise<Result>
  /** One line for the person who watches. */
  report(line: string): void
}

export interface Step {
  /** Rises from 1; a step keeps its number for ever. */
  readonly number: number
  readonly name: string
  /**
   * Of what the step does. A step that was begun or done under another one is refused, because
   * nobody could say what the stores hold.
   */
  readonly checksum: string
  /** Done in every run, such as setting options of a bucket to what they should be. */
  readonly isRepeated?: boolean
  /** Why it cannot be done now; it and only it is left for a later run. */
  readonly obstacle?: () => Promise<string | undefined>
  /** Goes on from `context.cursor`. Doing a piece of work twice must be harmless. */
  run(context: StepContext): Promise<void>
}

export interface Job {
  /** Wire's name, such as `galley-migrate-data`: of the command, the lock and the journal. */
  readonly name: string
  readonly steps: readonly Step[]
}

export interface JobOutcome {
  /** Names of the steps that this run did. */
  readonly done: readonly string[]
  /** Those that wait for something. */
  readonly postponed: readonly { readonly name: string; readonly obstacle: string }[]
}

/** The job must not run as it is: a newer release was here, or a step that was done has changed. */
export class JobRefused extends Error {
  override name = 'JobRefused'
}

/** Another run of the same job holds the lock now. */
export class JobSuperseded extends Error {
  constructor(job: string) {
    super(`another run of ${job} took over; this one stops`)
    this.name = 'JobSuperseded'
  }
}
