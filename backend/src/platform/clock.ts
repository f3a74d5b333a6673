import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since 1970 UTC. May jump either way when somebody sets the host's clock. */
  nowMs(): number
  /** Milliseconds, with fractions, since some moment in the past; never goes back. */
  monotonicMs(): number
  /** Resolves after so long; rejects with the signal's reason as soon as that is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The longest wait a timer can hold; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1

export function systemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      try {
        for (let leftMs = ms; leftMs > 0; leftMs -= longestTimerMs) {
          await delay(Math.min(leftMs, longestTimerMs), undefined, { signal })
        }
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      }
    },
  }
}

/** A monotonic clock that all threads of this process read alike, which `performance.now` is not. */
export const threadsMs = (): number => Number(process.hrtime.bigint()) / 1e6
