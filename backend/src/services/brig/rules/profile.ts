import type { UserProfile } from '../../../contract/brig/users.ts'
import type { UserSummary } from '../../../contract/brig/internal.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { Domain } from '../../../contract/ids.ts'
import type { User } from '../store/users.ts'

/** Users whom nobody may see: they have not come yet. */
export const isVisible = (user: User): boolean => user.status !== 'pending-invitation'

/**
 * What others see of a user. The e-mail address is for the user alone. Of a deleted user nothing is
 * left but that there was one.
 */
export function profileOf(user: User, domain: Domain): UserProfile {
  const isDeleted = user.status === 'deleted'
  const profile: UserProfile = {
    id: user.id,
    qualified_id: { domain, id: user.id },
    name: user.name,
    accent_id: user.accentId,
    assets: user.assets,
    picture: user.picture,
    supported_protocols: user.supportedProtocols,
    // Legal hold is for members of teams that use it.
    legalhold_status: 'no_consent',
    type: user.type,
    searchable: user.isSearchable,
  }
  if (isDeleted) return { ...profile, name: 'default', assets: [], picture: [], deleted: true }
  if (user.textStatus !== undefined) profile.text_status = user.textStatus
  if (user.handle !== undefined) profile.handle = user.handle
  if (user.team !== undefined) profile.team = user.team
  if (user.expiresMs !== undefined) profile.expires_at = formatTimestamp(user.expiresMs)
  return profile
}

/** What the other services see of a user. */
export function summaryOf(user: User): UserSummary {
  return {
    id: user.id,
    name: user.name,
    ...(user.team === undefined ? {} : { team: user.team }),
    status: user.status,
    type: user.type,
    isActivated: user.isActivated && user.status !== 'ephemeral',
  }
}
