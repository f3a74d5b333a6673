import type { Logger } from 'pino'
import type { UserDocument, UserSearch } from '../../../ports/search.ts'
import type { User, UserStore } from './users.ts'

export interface SearchIndex {
  /**
   * Brings the index up to date with the user. Never rejects: what the index lost, `reindexUsers`
   * brings back.
   */
  index(user: User): Promise<void>
}

export function searchIndex(deps: { search: UserSearch; log: Logger }): SearchIndex {
  const { search, log } = deps
  return {
    async index(user) {
      try {
        if (isIndexed(user)) await search.index([documentOf(user)])
        else await search.remove([user.id])
      } catch (error) {
        log.warn({ user: user.id, err: error }, 'search is behind until the next reindexing')
      }
    },
  }
}

/**
 * Builds the index again from the users. May be stopped and started again at any time, and run while
 * users change: the newer document of a user wins. Returns how many users it saw.
 */
export async function reindexUsers(
  deps: { search: UserSearch; users: UserStore },
  options: {
    signal: AbortSignal
    page?: string | undefined
    onPage?: (next: string, usersSeen: number) => Promise<void>
  },
): Promise<number> {
  const { search, users } = deps
  let seen = 0
  for (let { page } = options; ;) {
    options.signal.throwIfAborted()
    const { users: batch, next } = await users.scan(page)
    await search.index(batch.filter(isIndexed).map(documentOf))
    await search.remove(batch.filter((user) => !isIndexed(user)).map(({ id }) => id))
    seen += batch.length
    if (next === undefined) return seen
    await options.onPage?.(next, seen)
    page = next
  }
}

/** Guests, and those who have not shown who they are, are not to be found. */
const isIndexed = (user: User): boolean =>
  user.isActivated &&
  user.type !== 'bot' &&
  (user.status === 'active' || user.status === 'suspended')

function documentOf(user: User): UserDocument {
  return {
    user: user.id,
    name: user.name,
    ...(user.handle === undefined ? {} : { handle: user.handle }),
    accentId: user.accentId,
    ...(user.team === undefined ? {} : { team: user.team }),
    type: user.type,
    isSearchable: user.isSearchable,
    isActive: user.status === 'active',
    // Members of teams are found by their own team, until teams can say otherwise.
    isInboundOpen: false,
    versionMs: user.changedMs,
  }
}
