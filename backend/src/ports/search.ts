import type { TeamId, UserId } from '../contract/ids.ts'

/** One user as search sees it; can be rebuilt from the wide-column store at any time. */
export interface UserDocument {
  user: UserId
  name: string
  handle?: string
  accentId: number
  team?: TeamId
  type: 'regular' | 'app' | 'bot'
  isSearchable: boolean
  isActive: boolean
  /** `searchable-by-all-teams` on the team of the user; false for team members by default. */
  isInboundOpen: boolean
  /** Milliseconds of the last change; an older document never replaces a newer one. */
  versionMs: number
}

export interface UserQuery {
  text: string
  /** Never found. */
  searcher: UserId
  /** Whose members may be found: the searcher's team only, or everybody that allows it. */
  space: { kind: 'own-team'; team: TeamId } | { kind: 'open'; team?: TeamId }
  type?: 'regular' | 'app' | 'bot'
  size: number
  page?: string | undefined
}

export interface UserHits {
  documents: UserDocument[]
  /** Hits in all, which may be an estimate. */
  found: number
  tookMs: number
  next?: string
}

export interface UserSearch extends AsyncDisposable {
  /** True for an index that is new or was lost: it must be filled from the users. */
  isEmpty(): Promise<boolean>
  index(documents: readonly UserDocument[]): Promise<void>
  remove(users: readonly UserId[]): Promise<void>
  /** Words match as prefixes of handle and of the folded name; handle matches rank higher. */
  find(query: UserQuery): Promise<UserHits>
}
