import { Unavailable } from '../contract/error.ts'
import type { Clock } from './clock.ts'

const pauseMs = 1000

/**
 * Repeats work, once a second, until its engine answers. What became of an earlier try may be
 * unknown, so the work must be fit to be done twice.
 *
 * @param options.attempts The last one's failure is thrown; without, there is no last one.
 * @param options.waiting Told once, at the first failure.
 */
export async function untilAnswered<Result>(
  work: () => Promise<Result>,
  options: {
    clock: Pick<Clock, 'sleep'>
    signal?: AbortSignal
    attempts?: number
    waiting: (error: Unavailable) => void
  },
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Unavailable) || attempt === options.attempts) throw error
      if (attempt === 1) options.waiting(error)
      await options.clock.sleep(pauseMs, options.signal)
    }
  }
}
