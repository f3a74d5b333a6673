import type { Platform } from '../../../platform/service.ts'
import type { ChangeLog } from '../changes.ts'

/** A change that is younger may still be under way in another process. */
const graceMs = 10_000

/** Sees through what processes that died, or could not reach gundeck, left half done. */
export async function runUnfinishedChanges(
  deps: { platform: Platform; changeLog: ChangeLog; everySeconds: number },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps.platform
  while (!signal.aborted) {
    try {
      const finished = await deps.changeLog.finishAbandoned(graceMs)
      if (finished > 0) log.info({ conversations: finished }, 'interrupted changes finished')
    } catch (err) {
      log.warn({ err }, 'interrupted changes wait for another attempt')
    }
    await clock.sleep(deps.everySeconds * 1000, signal).catch(() => undefined)
  }
}
