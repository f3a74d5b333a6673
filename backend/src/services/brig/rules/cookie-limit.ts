export interface CookieLimit {
  maxCookies: number
  churnStdDevSeconds: number
  churnWaitSeconds: number
}

interface CountedCookie {
  readonly id: number
  readonly createdMs: number
  /** Another cookie took its place; it still works for a while. */
  readonly successor?: number | undefined
}

/**
 * What one more cookie means for the others of its kind. When there are too many, superseded ones go
 * first, then the oldest. But an account whose sessions were started at even intervals is driven by
 * a program that never keeps its cookie: it has to wait, or it would log everybody else out.
 */
export function planCookie(
  existing: readonly CountedCookie[],
  limit: CookieLimit,
  nowMs: number,
): { kind: 'room'; evicted: number[] } | { kind: 'throttled'; retryAfterSeconds: number } {
  const byAge = existing.toSorted((one, other) => one.createdMs - other.createdMs)
  const superseded = byAge.filter(({ successor }) => successor !== undefined)
  const current = byAge.filter(({ successor }) => successor === undefined)
  const excess = Math.max(0, existing.length - (limit.maxCookies - 1))

  if (excess > superseded.length) {
    const newestMs = current.at(-1)?.createdMs ?? 0
    const waitMs = newestMs + limit.churnWaitSeconds * 1000 - nowMs
    const isEven = intervalStdDevSeconds(current) < limit.churnStdDevSeconds
    if (isEven && waitMs > 0) {
      return { kind: 'throttled', retryAfterSeconds: Math.ceil(waitMs / 1000) }
    }
  }
  return { kind: 'room', evicted: [...superseded, ...current].slice(0, excess).map(({ id }) => id) }
}

function intervalStdDevSeconds(byAge: readonly CountedCookie[]): number {
  const gaps = byAge.slice(1).map((cookie, index) => {
    const previousMs = byAge[index]?.createdMs ?? cookie.createdMs
    return (cookie.createdMs - previousMs) / 1000
  })
  if (gaps.length < 2) return Number.POSITIVE_INFINITY
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length
  return Math.sqrt(variance)
}
