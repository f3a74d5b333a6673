import { Unavailable } from '../../contract/error.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Reported } from '../../platform/dependencies.ts'
import type { Session } from './session.ts'

/** A session that tells whether the cluster answers. */
export interface WatchedSession {
  readonly session: Session
  /**
   * Tells from now on, until the signal. What requests meet says most; `probe`, which should ask a
   * majority, is called while they say nothing.
   */
  run(probe: () => Promise<unknown>, signal: AbortSignal): Promise<void>
}

/** Requests failed for so long and none was answered: the cluster is down, or this process cut off. */
const failingMs = 3000
const probeEveryMs = 5000
/** While it does not answer. */
const impatientMs = 1000

/** Watches what becomes of the requests of a session. */
export function watchAnswers(
  session: Session,
  deps: {
    readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
    readonly report: Pick<Reported, 'noteUp' | 'noteDown'>
  },
): WatchedSession {
  const { clock, report } = deps
  let isTelling = false
  let answeredMs = clock.monotonicMs()
  /** The first failure since the last answer. */
  let failedMs: number | undefined

  function onAnswer(): void {
    answeredMs = clock.monotonicMs()
    if (failedMs === undefined) return
    failedMs = undefined
    if (isTelling) report.noteUp()
  }

  function onFailure({ message }: Unavailable): void {
    const nowMs = clock.monotonicMs()
    failedMs ??= nowMs
    if (isTelling && nowMs - failedMs >= failingMs) report.noteDown(message)
  }

  async function watched<Result>(request: Promise<Result>): Promise<Result> {
    try {
      const result = await request
      onAnswer()
      return result
    } catch (error) {
      // Whatever else went wrong, somebody said so.
      if (error instanceof Unavailable) onFailure(error)
      else onAnswer()
      throw error
    }
  }

  return {
    session: {
      read: (statement, options) => watched(session.read(statement, options)),
      write: (statements, options) => watched(session.write(statements, options)),
      writeIf: (statements) => watched(session.writeIf(statements)),
      administer: (keyspace, query) => session.administer(keyspace, query),
      untilAgreed: (keyspaces) => session.untilAgreed(keyspaces),
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    },
    async run(probe, signal) {
      isTelling = true
      try {
        for (;;) {
          await clock.sleep(failedMs === undefined ? probeEveryMs : impatientMs, signal)
          const isKnown = failedMs === undefined && clock.monotonicMs() - answeredMs < probeEveryMs
          // Its requests are watched like all others.
          if (!isKnown) await probe().catch(() => undefined)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        isTelling = false
      }
    },
  }
}
