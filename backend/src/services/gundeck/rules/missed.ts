/** Rows live so long; the list of buckets tells of them two days longer. */
const rowMs = 28 * 24 * 60 * 60 * 1000
const bucketMs = 30 * 24 * 60 * 60 * 1000

/**
 * Whether notifications may have expired before a client acknowledged them. When the traces are gone
 * the answer is yes: a client that synchronises for nothing loses time, the other mistake messages.
 *
 * @param bucketsMs The first milliseconds of the buckets that are still listed.
 */
export function hasMissed(cursorMs: number, nowMs: number, bucketsMs: readonly number[]): boolean {
  if (cursorMs >= nowMs - rowMs) return false
  if (cursorMs < nowMs - bucketMs) return true
  // A bucket that began before the rows' end of life may have held expired rows beyond the cursor.
  return bucketsMs.some((firstMs) => firstMs < nowMs - rowMs)
}
