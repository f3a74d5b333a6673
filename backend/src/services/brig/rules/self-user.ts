import type { SelfUser } from '../../../contract/brig/self-user.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { Domain } from '../../../contract/ids.ts'
import type { User } from '../store/users.ts'

/** What a user sees of itself. */
export function selfUserOf(user: User, domain: Domain): SelfUser {
  const { textStatus, handle, email, emailUnvalidated, team, expiresMs } = user
  return {
    id: user.id,
    qualified_id: { domain, id: user.id },
    name: user.name,
    accent_id: user.accentId,
    assets: user.assets,
    picture: user.picture,
    ...(textStatus !== undefined && { text_status: textStatus }),
    locale: user.locale,
    ...(handle !== undefined && { handle }),
    ...(email !== undefined && { email }),
    ...(emailUnvalidated !== undefined && { email_unvalidated: emailUnvalidated }),
    ...(team !== undefined && { team }),
    status: user.status,
    managed_by: user.managedBy,
    supported_protocols: user.supportedProtocols,
    type: user.type,
    searchable: user.isSearchable,
    ...(expiresMs !== undefined && { expires_at: formatTimestamp(expiresMs) }),
  }
}
