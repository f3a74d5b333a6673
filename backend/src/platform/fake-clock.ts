import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from './clock.ts'

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves both clocks on and wakes sleepers in the order of their time. Each one runs until it waits
   * for something again before the next is woken, so a loop that sleeps a second at a time takes ten
   * turns in `advance(10_000)`.
   */
  advance(ms: number): Promise<void>
  /** Somebody sets the host's clock: `nowMs` jumps, sleepers and the monotonic clock do not. */
  setNow(ms: number): void
  /** How many calls of `sleep` are waiting. */
  readonly sleeping: number
}

/** Starts at 2026-01-01 unless told otherwise. */
export function fakeClock(startMs: number = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsedMs = 0
  let offsetMs = startMs
  const sleepers = new Set<{ dueMs: number; wake(): void }>()

  function earliest(untilMs: number) {
    let next: { dueMs: number; wake(): void } | undefined
    for (const sleeper of sleepers) {
      if (sleeper.dueMs <= untilMs && (!next || sleeper.dueMs < next.dueMs)) next = sleeper
    }
    return next
  }

  return {
    nowMs: () => offsetMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    sleep(ms, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      if (signal?.aborted) {
        reject(signal.reason)
        return promise
      }
      const abort = () => {
        sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const sleeper = {
        dueMs: elapsedMs + Math.max(0, ms),
        wake() {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', abort, { once: true })
      return promise
    },
    async advance(ms) {
      const untilMs = elapsedMs + ms
      await nextTurn()
      for (let next = earliest(untilMs); next; next = earliest(untilMs)) {
        elapsedMs = Math.max(elapsedMs, next.dueMs)
        next.wake()
        await nextTurn()
      }
      elapsedMs = untilMs
    },
    setNow(ms) {
      offsetMs = ms - elapsedMs
    },
    get sleeping() {
      return sleepers.size
    },
  }
}
