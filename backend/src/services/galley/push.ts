import type { Client } from '../../contract/endpoint.ts'
import { Unavailable } from '../../contract/error.ts'
import type { Push, pushApi } from '../../contract/gundeck/internal.ts'
import type { UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'

export type GundeckClient = Client<typeof pushApi>
/** The event time that stands in each recipient's inbox. */
export type EventTimes = Readonly<Partial<Record<UserId, number>>>

/**
 * Answers when the push is durable in every inbox.
 *
 * @param firstAttemptAgeMs Of a push that an earlier process may have sent already.
 */
export type PushToInboxes = (
  push: Push,
  earlier?: { firstAttemptAgeMs: number | undefined },
) => Promise<EventTimes>

const firstPauseMs = 20
const longestPauseMs = 1000

/**
 * Repeats a push under its request id while gundeck does not answer: an inbox that changes its owner
 * pauses for seconds. Then the caller gets 503, and whether anything was stored is not known.
 */
export function pusher(deps: {
  gundeck: GundeckClient
  clock: Clock
  repeatSeconds: number
}): PushToInboxes {
  const { gundeck, clock, repeatSeconds } = deps
  return async function push(push, earlier) {
    const startedMs = clock.monotonicMs()
    let pauseMs = firstPauseMs
    for (let attempt = 1; ; attempt += 1) {
      const elapsedMs = clock.monotonicMs() - startedMs
      try {
        const { body } = await gundeck.push({
          body: { pushes: [push], ...repetition(attempt, elapsedMs, earlier) },
        })
        return body.eventTimesMs[0] ?? {}
      } catch (error) {
        if (!(error instanceof Unavailable) || elapsedMs >= repeatSeconds * 1000) throw error
      }
      await clock.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    }
  }
}

function repetition(
  attempt: number,
  elapsedMs: number,
  earlier: { firstAttemptAgeMs: number | undefined } | undefined,
) {
  if (earlier === undefined) {
    return attempt === 1
      ? { isRepeat: false }
      : { isRepeat: true, firstAttemptAgeMs: Math.ceil(elapsedMs) }
  }
  const { firstAttemptAgeMs } = earlier
  return firstAttemptAgeMs === undefined
    ? { isRepeat: true }
    : { isRepeat: true, firstAttemptAgeMs: firstAttemptAgeMs + Math.ceil(elapsedMs) }
}

/** What the sender's own devices see, else what the others do. */
export function timeFor(
  sender: UserId | undefined,
  times: EventTimes,
  otherwiseMs: number,
): number {
  const own = sender === undefined ? undefined : times[sender]
  if (own !== undefined) return own
  const others = Object.values(times).filter((time) => time !== undefined)
  return others.length === 0 ? otherwiseMs : Math.max(...others)
}
