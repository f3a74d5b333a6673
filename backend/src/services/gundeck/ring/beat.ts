import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import type { Clock } from '../../../platform/clock.ts'
import { stateOf } from '../store/ring.ts'
import type { InstanceState, RingStore } from '../store/ring.ts'

/** What the next raise writes, asked for at the moment of writing. */
export interface Pulse {
  /** At least the present ceiling; that itself while no id may be given out. */
  ceiling(present: bigint): bigint
  clockMs(): number
}

export type RaiseOutcome =
  | 'raised'
  /** Somebody changed the line: shards were taken. Nothing is raised until `go`. */
  | 'changed'

/**
 * An instance's sign of life: raises sequence and ceiling of its line in the ring. Every write of the
 * line goes through here, one after another.
 */
export interface Beat {
  /** As last applied. */
  readonly line: InstanceState
  /** On the monotonic clock, when the last raise that was applied began. */
  readonly raisedMs: number
  /** Raises now. Rejects with `Unavailable` when the store does not say that it did. */
  raise(): Promise<RaiseOutcome>
  /** Waits for the raise in flight; none begins until `go`. One holds it at a time. */
  hold(): Promise<InstanceState>
  /** Goes on, from this line if one is given: after somebody changed it, or its holder did. */
  go(line?: InstanceState): void
  /** Beats until the signal; calls back when the line was changed by somebody else. */
  run(signal: AbortSignal, onChanged: () => Promise<void>): Promise<void>
}

const everyMs = 500
/** After a raise that failed. */
const againMs = 100

export interface BeatDeps {
  readonly store: Pick<RingStore, 'raise' | 'instance'>
  readonly name: () => string
  readonly pulse: Pulse
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly log: BeatLog
  readonly line: InstanceState
  /** Told of every raise that was applied, before anybody else is. */
  readonly raised?: (line: InstanceState, raisedMs: number) => void
  /** Whether a sign of life would be true: asked before each that nobody called for. */
  readonly isWanted?: () => boolean
}

/** As much of a logger as a beat needs. */
export interface BeatLog {
  info(text: string): void
  warn(fields: { readonly err: unknown }, text: string): void
}

/** A beat in the calling thread. */
export function createBeat(deps: BeatDeps): Beat {
  const { store, name, pulse, clock, log, isWanted = () => true } = deps
  let line = deps.line
  let raisedMs = clock.monotonicMs()
  let raising: Promise<RaiseOutcome> | undefined
  let next: Promise<RaiseOutcome> | undefined
  /** While somebody holds the line. */
  let held: PromiseWithResolvers<void> | undefined
  let writing: Promise<RaiseOutcome> | undefined
  let isChanged = false

  async function write(): Promise<RaiseOutcome> {
    while (held !== undefined) await held.promise
    if (isChanged) return 'changed'
    writing = writeNow().finally(() => {
      writing = undefined
    })
    return writing
  }

  function note(to: InstanceState, startedMs: number): 'raised' {
    line = to
    raisedMs = startedMs
    deps.raised?.(line, raisedMs)
    return 'raised'
  }

  async function writeNow(): Promise<RaiseOutcome> {
    const from = line
    const startedMs = clock.monotonicMs()
    const to = {
      epoch: from.epoch,
      sequence: from.sequence + 1n,
      ceiling: pulse.ceiling(from.ceiling),
    }
    let isApplied: boolean
    try {
      isApplied = await store.raise(name(), from, to, pulse.clockMs())
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error
      isApplied = false
    }
    if (isApplied) return note(to, startedMs)
    // A conditional write is not idempotent: what is not known is read before it is tried again.
    const found = await store.instance(name())
    if (
      found?.epoch === to.epoch &&
      found.sequence === to.sequence &&
      found.ceiling === to.ceiling
    ) {
      return note(to, startedMs)
    }
    if (found?.epoch === from.epoch && found.sequence === from.sequence) {
      throw new Unavailable('the sign of life was not noted')
    }
    isChanged = true
    return 'changed'
  }

  /** One that begins after the call: what is in flight may have looked at the pulse before. */
  function raise(): Promise<RaiseOutcome> {
    if (raising === undefined) {
      raising = write().finally(() => {
        raising = undefined
      })
      return raising
    }
    next ??= raising
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return raise()
      })
    return next
  }

  return {
    get line() {
      return line
    },
    get raisedMs() {
      return raisedMs
    },
    raise,
    async hold() {
      held ??= Promise.withResolvers()
      await writing?.catch(() => undefined)
      return line
    },
    go(from) {
      if (from !== undefined) {
        line = stateOf(from)
        isChanged = false
      }
      held?.resolve()
      held = undefined
    },
    async run(signal, onChanged) {
      let isSilent = false
      try {
        for (;;) {
          let pauseMs = everyMs
          if (!isWanted()) {
            await clock.sleep(againMs, signal)
            continue
          }
          try {
            if ((await raise()) === 'changed') await onChanged()
            if (isSilent) log.info('the sign of life is noted again')
            isSilent = false
          } catch (error) {
            if (!isSilent) log.warn({ err: error }, 'the sign of life is not noted')
            isSilent = true
            pauseMs = againMs
          }
          await clock.sleep(pauseMs, signal)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
