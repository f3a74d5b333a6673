import type { ConversationEvent } from '../../../contract/events/conversation.ts'
import type { ConversationId, Domain, UserId } from '../../../contract/ids.ts'
import { legacyAccessRole } from './access.ts'
import type { Room, StoredMember } from './stored-conversation.ts'
import { ownConversationView } from './views.ts'

type EventType = ConversationEvent['type']
type EventOf<Type extends EventType> = Extract<ConversationEvent, { type: Type }>
/** An event as it is pushed; the owner of the inbox writes its time. */
export type EventBody<Type extends EventType = EventType> = Type extends EventType
  ? Omit<EventOf<Type>, 'time'>
  : never

export function eventBody<Type extends EventType>(
  domain: Domain,
  type: Type,
  conversation: ConversationId,
  from: UserId,
  data: EventOf<Type>['data'],
): EventBody<Type> {
  const body = {
    type,
    conversation,
    qualified_conversation: { domain, id: conversation },
    from,
    qualified_from: { domain, id: from },
    via: 'user',
    data,
  }
  // TypeScript does not follow that `type` and `data` belong to the same member of the union.
  return body as unknown as EventBody<Type>
}

/** `conversation.create` as one member gets it; undefined if the user is no member. */
export function createEventFor(
  domain: Domain,
  room: Room,
  member: UserId,
): EventBody<'conversation.create'> | undefined {
  const { id, creator, accessRoles } = room.conversation
  const view = ownConversationView(domain, room, member, {})
  return (
    view &&
    eventBody(domain, 'conversation.create', id, creator, {
      ...view,
      access_role: legacyAccessRole(accessRoles),
      access_role_v2: [...accessRoles],
    })
  )
}

export const joinData = (domain: Domain, members: readonly StoredMember[]) => ({
  users: members.map(({ user, role }) => ({
    id: user,
    qualified_id: { domain, id: user },
    conversation_role: role,
  })),
  user_ids: members.map(({ user }) => user),
  add_type: 'internal_add' as const,
})

export const leaveData = (
  domain: Domain,
  users: readonly UserId[],
  reason: 'left' | 'removed' | 'user-deleted',
) => ({
  reason,
  user_ids: [...users],
  qualified_user_ids: users.map((id) => ({ domain, id })),
})
