import type {
  Access,
  AccessRole,
  LegacyAccessRole,
} from '../../../contract/galley/conversation-fields.ts'

/** How a group is entered, and by whom, unless its creator says otherwise. */
export const defaultAccess: readonly Access[] = ['invite']
export const defaultAccessRoles: readonly AccessRole[] = [
  'team_member',
  'non_team_member',
  'service',
]

/** From the narrowest to the widest (Wire protocol notes §9.1). */
const legacyRoles: readonly (readonly [LegacyAccessRole, readonly AccessRole[]])[] = [
  ['private', []],
  ['team', ['team_member']],
  ['activated', ['team_member', 'non_team_member', 'service']],
]

/** The narrowest of the old names that covers the set. */
export function legacyAccessRole(roles: readonly AccessRole[]): LegacyAccessRole {
  const found = legacyRoles.find(([, covered]) => roles.every((role) => covered.includes(role)))
  return found?.[0] ?? 'non_activated'
}

/** What the access roles look at. Nobody belongs to a team yet. */
export interface Candidate {
  /** False for guests, who have no confirmed address. */
  readonly isActivated: boolean
  readonly type: 'regular' | 'app' | 'bot'
}

/** Whether these users may be in a conversation with these access roles. */
export function admits(
  roles: readonly AccessRole[],
  candidates: readonly Candidate[],
): 'admitted' | 'access-denied' | 'no-team-member' {
  if (roles.length === 0) return 'access-denied'
  if (candidates.length > 0 && !roles.includes('non_team_member')) return 'no-team-member'
  const isRefused = candidates.some(
    ({ isActivated, type }) =>
      (!isActivated && !roles.includes('guest')) || (type === 'bot' && !roles.includes('service')),
  )
  return isRefused ? 'access-denied' : 'admitted'
}

/** Whether a group that belongs to no team may be given this access. */
export function isValidAccess(access: readonly Access[], roles: readonly AccessRole[]): boolean {
  // Without a team, "only team members" would be nobody.
  return (
    access.length > 0 && !access.includes('private') && roles.some((role) => role !== 'team_member')
  )
}

/** As sets: order and repetition do not count. */
export function isSameSet<T>(left: readonly T[], right: readonly T[]): boolean {
  return left.every((item) => right.includes(item)) && right.every((item) => left.includes(item))
}
