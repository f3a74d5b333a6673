/**
 * The time that is written into events, so that no inbox ever sees the same time twice or an earlier
 * one: the web client would drop such an event.
 *
 * @param happenedMs When the caller says that it happened.
 * @param idClockMs What the id clock shows.
 * @param lastMs The last time written into this inbox, if known.
 * @param unknownAboveMs When it is not known, it was at most this.
 */
export function eventTime(
  happenedMs: number,
  idClockMs: number,
  lastMs: number | undefined,
  unknownAboveMs: number,
): number {
  if (lastMs === undefined) return Math.max(idClockMs, unknownAboveMs + 1)
  return Math.max(Math.min(happenedMs, idClockMs), lastMs + 1)
}
