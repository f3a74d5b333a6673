import type { Logger } from 'pino'
import type { Clock } from '../../../platform/clock.ts'
import type { AccountDeletion } from '../deletion.ts'

/** Finishes deletions that were interrupted, and removes guests whose time is over. */
export async function runDeletionSweep(
  deps: {
    deletion: Pick<AccountDeletion, 'sweep'>
    clock: Pick<Clock, 'sleep'>
    log: Logger
    everySeconds: number
  },
  signal: AbortSignal,
): Promise<void> {
  const { deletion, clock, log, everySeconds } = deps
  while (!signal.aborted) {
    try {
      const finished = await deletion.sweep(signal)
      if (finished > 0) {
        log.info({ finished }, 'deleted users removed')
        continue
      }
      await clock.sleep(everySeconds * 1000, signal)
    } catch (err) {
      if (signal.aborted) return
      log.warn({ err }, 'sweep of deleted users failed')
      await clock.sleep(everySeconds * 1000, signal).catch(() => undefined)
    }
  }
}
