import { Handle } from '../../../contract/brig/user-fields.ts'
import { searchErrors, type searchApi } from '../../../contract/brig/search.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import type { UserHits, UserQuery, UserSearch } from '../../../ports/search.ts'
import type { ClaimStore } from '../store/claims.ts'
import type { User, UserStore } from '../store/users.ts'

export interface SearchHandlersDeps {
  users: Pick<UserStore, 'get' | 'getMany'>
  handles: Pick<ClaimStore, 'find'>
  search: Pick<UserSearch, 'find'>
  domain: Domain
}

export function searchHandlers(deps: SearchHandlersDeps): Handlers<typeof searchApi> {
  const { users, handles, search, domain } = deps

  /** Whoever knows the whole handle finds its owner, other than by name. */
  async function findByHandle(text: string, searcher: UserId): Promise<User | undefined> {
    const handle = Handle.safeParse(text.trim().toLowerCase().replace(/^@/, ''))
    const user = handle.success ? await handles.find(handle.data) : undefined
    return user !== undefined && user.id !== searcher && isFindable(user) ? user : undefined
  }

  async function searchContacts(input: { caller: { user: UserId }; query: SearchQuery }) {
    const { q, size, type } = input.query
    const searcher = await users.get(input.caller.user)
    if (searcher?.status !== 'active') throw new ApiError(searchErrors.insufficientPermissions)
    if (input.query.domain !== undefined && input.query.domain !== domain) {
      return { status: 200 as const, body: { ...nothing, search_policy: 'no_search' as const } }
    }

    const types = new Set(type?.split(',').filter((name) => name !== ''))
    const exact = await findByHandle(q, searcher.id)
    const hits = await find(
      {
        text: q,
        searcher: searcher.id,
        space: { kind: 'open', ...(searcher.team !== undefined && { team: searcher.team }) },
        size,
      },
      types,
    )
    // The index may be behind: the users themselves say how they are called, and who is gone.
    const byName = (await users.getMany(hits.documents.map(({ user }) => user))).filter(
      (user) => isFindable(user) && user.id !== exact?.id,
    )
    const isExactCounted = hits.documents.some(({ user }) => user === exact?.id)
    const contacts = [...(exact ? [exact] : []), ...byName].slice(0, size)
    return {
      status: 200 as const,
      body: {
        documents: contacts.map(contactOf),
        found: Math.max(
          contacts.length,
          hits.found + (exact !== undefined && !isExactCounted ? 1 : 0),
        ),
        returned: contacts.length,
        took: hits.tookMs,
        search_policy: 'full_search' as const,
      },
    }
  }

  async function find(query: UserQuery, types: ReadonlySet<string>): Promise<UserHits> {
    if (query.text.trim() === '') return { documents: [], found: 0, tookMs: 0 }
    const only = types.size === 1 ? [...types][0] : undefined
    return search.find(only === 'regular' || only === 'app' ? { ...query, type: only } : query)
  }

  function contactOf(user: User) {
    return {
      id: user.id,
      qualified_id: { domain, id: user.id },
      name: user.name,
      handle: user.handle,
      accent_id: user.accentId,
      team: user.team,
      type: user.type,
      searchable: user.isSearchable,
      // There are no groups of users yet.
      user_groups: [],
    }
  }

  return {
    searchContactsV11: searchContacts,
    searchContactsV13: searchContacts,
    searchContactsV14: searchContacts,
    searchContacts,
  }
}

interface SearchQuery {
  q: string
  domain?: Domain | undefined
  size: number
  type?: string | undefined
}

const nothing = { documents: [], found: 0, returned: 0, took: 0 }

const isFindable = (user: User): boolean => user.status === 'active' && user.isSearchable
