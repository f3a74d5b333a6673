import type { Platform } from '../../../platform/service.ts'
import type { ObjectStore } from '../../../ports/objects.ts'
import { expiringPrefixes } from '../rules/retention.ts'

/** Removes assets past their time. Buckets with lifecycle rules have nothing left for it. */
export async function runSweep(
  deps: { platform: Platform; objects: ObjectStore; everySeconds: number },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps.platform
  while (!signal.aborted) {
    for (const { prefix, lifetimeSeconds } of expiringPrefixes) {
      try {
        const removed = await deps.objects.expire(prefix, clock.nowMs() - lifetimeSeconds * 1000)
        if (removed > 0) log.info({ prefix, removed }, 'expired assets removed')
      } catch (err) {
        log.warn({ prefix, err }, 'expired assets could not be removed')
      }
    }
    await clock.sleep(deps.everySeconds * 1000, signal).catch(() => undefined)
  }
}
