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
      await deps.changeLog.finishAbandoned(graceMs, signal)
    } catch (err) {
      log.warn({ err }, 'interrupted changes could not be looked for')
    }
    await clock.sleep(deps.everySeconds * 1000, signal).catch(() => undefined)
  }
}
