import type { Clock } from '../../platform/clock.ts'
import { Stalled } from './client.ts'

/** Counts only the time in which the object store has the word, not that of slow clients. */
export interface StallWatch extends Disposable {
  /** Aborted with `Stalled`. */
  readonly signal: AbortSignal
  /** The store has the word from now on. */
  storeTurn(): void
  /** Whoever sends or reads on the other side has it. */
  othersTurn(): void
}

const lookEveryMs = 500

export function watchStall(clock: Pick<Clock, 'monotonicMs'>, longestMs: number): StallWatch {
  const stalled = new AbortController()
  let sinceMs: number | undefined
  const timer = setInterval(() => {
    if (sinceMs === undefined || clock.monotonicMs() - sinceMs < longestMs) return
    stalled.abort(new Stalled())
    clearInterval(timer)
  }, lookEveryMs)
  return {
    signal: stalled.signal,
    storeTurn() {
      sinceMs = clock.monotonicMs()
    },
    othersTurn() {
      sinceMs = undefined
    },
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}
