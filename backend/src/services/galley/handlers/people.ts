import type { Client } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { brigInternalApi } from '../../../contract/brig/internal.ts'
import type { AccessRole } from '../../../contract/galley/conversation-fields.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { Domain, QualifiedUserId, UserId } from '../../../contract/ids.ts'
import { admits } from '../rules/access.ts'

export type BrigClient = Pick<
  Client<typeof brigInternalApi>,
  'listUserSummaries' | 'listConnected' | 'listContacts'
>

/** Each user once, without the caller; and the backends of those who are elsewhere. */
export function splitUsers(
  domain: Domain,
  caller: UserId,
  qualified: readonly QualifiedUserId[],
  unqualified: readonly UserId[] = [],
): { local: UserId[]; unreachable: Domain[] } {
  const local = new Set(unqualified)
  const unreachable = new Set<Domain>()
  for (const { domain: theirs, id } of qualified) {
    if (theirs === domain) local.add(id)
    else unreachable.add(theirs)
  }
  local.delete(caller)
  return { local: [...local], unreachable: [...unreachable] }
}

/** This server does not talk to others yet, so all of them are out of reach. */
export const unreachableReply = (unreachable: readonly Domain[]) => ({
  status: 533 as const,
  body: { unreachable_backends: [...unreachable] },
})

export async function requireConnected(
  brig: BrigClient,
  user: UserId,
  others: readonly UserId[],
): Promise<void> {
  if (others.length === 0) return
  const { body } = await brig.listConnected({ body: { user, others: [...others] } })
  const connected = new Set(body.connected)
  if (others.some((other) => !connected.has(other))) {
    throw new ApiError(conversationErrors.notConnected)
  }
}

/** Whether these users may come into a conversation with these access roles. */
export async function requireAdmission(
  brig: BrigClient,
  users: readonly UserId[],
  roles: readonly AccessRole[],
): Promise<void> {
  const { body } = await brig.listUserSummaries({ body: { users: [...users] } })
  const verdict = admits(roles, body.users)
  if (verdict === 'admitted') return
  throw new ApiError(
    verdict === 'no-team-member'
      ? conversationErrors.noTeamMember
      : conversationErrors.accessDenied,
  )
}
