import type { NotificationId } from '../../../contract/ids.ts'
import { compareTimeUuid } from '../../../platform/time-uuid.ts'

/** What a client that acknowledges has seen. */
export interface Seen {
  /** Where its queue began. It fetches once, in the old way, what was there before. */
  readonly begin: NotificationId
  /** Everything from the beginning up to here is acknowledged. */
  readonly cursor: NotificationId
  /** Beyond the cursor. */
  readonly acknowledged: readonly NotificationId[]
}

/** Tells rows that the client has acknowledged from those that it may still have to fetch. */
export function acknowledgedBy(seen: Seen): (id: NotificationId) => boolean {
  const beyond = new Set(seen.acknowledged)
  return (id) =>
    beyond.has(id) || (compareTimeUuid(id, seen.begin) > 0 && compareTimeUuid(id, seen.cursor) <= 0)
}

/** Where to read on from: not from among rows that are acknowledged, which there may be many of. */
export function unseenAfter(
  seen: Seen,
  since: NotificationId | undefined,
): NotificationId | undefined {
  const isBefore = since === undefined || compareTimeUuid(since, seen.begin) < 0
  return isBefore || compareTimeUuid(since, seen.cursor) >= 0 ? since : seen.cursor
}

/**
 * Up to where the client needs nothing any more. While it has not moved on from the beginning it may
 * not have fetched what was there before.
 */
export const doneUpTo = ({ begin, cursor }: Seen): NotificationId | undefined =>
  compareTimeUuid(cursor, begin) > 0 ? cursor : undefined
