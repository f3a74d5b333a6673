import type { RateZone } from '../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../contract/error.ts'
import type { Clock } from '../../platform/clock.ts'
import type { NginzConfig } from './config.ts'
import { admit } from '../../platform/rate.ts'

/** Callers remembered at once; beyond it the one longest unseen is forgotten. */
const maxCallers = 100_000

export interface Limits {
  /** Counts one request, or throws 420. `key` is a user, or an address and a path. */
  count(zone: Exclude<RateZone, 'none'>, key: string): void
}

export function createLimits(config: NginzConfig['limits'], clock: Clock): Limits {
  const due = new Map<string, number>()
  return {
    count(zone, caller) {
      const key = `${zone} ${caller}`
      const outcome = admit(config[zone], due.get(key) ?? 0, clock.monotonicMs())
      if (!outcome.isAdmitted) {
        throw new ApiError(kitErrors.tooManyRequests, {
          retryAfterSeconds: outcome.retryAfterMs / 1000,
        })
      }
      due.delete(key)
      due.set(key, outcome.dueMs)
      if (due.size > maxCallers) {
        const oldest = due.keys().next()
        if (!oldest.done) due.delete(oldest.value)
      }
    },
  }
}
