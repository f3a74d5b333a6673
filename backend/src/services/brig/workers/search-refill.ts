import type { Logger } from 'pino'
import type { UserSearch } from '../../../ports/search.ts'
import { reindexUsers } from '../store/search-index.ts'
import type { UserStore } from '../store/users.ts'

/** Fills a search index that is new or was lost, once, while requests are answered. */
export async function runSearchRefill(
  deps: { search: UserSearch; users: UserStore; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { log } = deps
  try {
    if (!(await deps.search.isEmpty())) return
    const users = await reindexUsers(deps, { signal })
    if (users > 0) log.info({ users }, 'the search index was empty and has been filled')
  } catch (err) {
    if (!signal.aborted) log.warn({ err }, 'the search index could not be filled')
  }
}
