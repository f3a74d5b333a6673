/** A rate in the long run, and how many may come at once. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

/**
 * Decides one arrival by the generic cell rate algorithm. `dueMs` is the moment until which earlier
 * arrivals have used up the rate, 0 for a caller not seen before; keep the one returned.
 */
export function admit(
  rate: Rate,
  dueMs: number,
  nowMs: number,
): { isAdmitted: true; dueMs: number } | { isAdmitted: false; retryAfterMs: number } {
  const costMs = 1000 / rate.perSecond
  const nextMs = Math.max(dueMs, nowMs) + costMs
  const aheadMs = nextMs - nowMs - rate.burst * costMs
  return aheadMs > 1e-6
    ? { isAdmitted: false, retryAfterMs: aheadMs }
    : { isAdmitted: true, dueMs: nextMs }
}
