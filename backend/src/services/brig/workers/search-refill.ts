import type { Logger } from 'pino'
import { Unavailable } from '../../../contract/error.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { UserSearch } from '../../../ports/search.ts'
import { reindexUsers } from '../store/search-index.ts'
import type { UserStore } from '../store/users.ts'

const againMs = 5000

/**
 * Fills a search index that is new or was lost, once, while requests are answered. An engine that is
 * not there yet is waited for.
 */
export async function runSearchRefill(
  deps: { search: UserSearch; users: UserStore; clock: Pick<Clock, 'sleep'>; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps
  while (!signal.aborted) {
    try {
      if (!(await deps.search.isEmpty())) return
      const users = await reindexUsers(deps, { signal })
      if (users > 0) log.info({ users }, 'the search index was empty and has been filled')
      return
    } catch (err) {
      if (signal.aborted) return
      if (!(err instanceof Unavailable)) {
        log.warn({ err }, 'the search index could not be filled')
        return
      }
      await clock.sleep(againMs, signal).catch(() => undefined)
    }
  }
}
