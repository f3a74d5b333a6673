import { ApiError } from '../../../contract/error.ts'
import { conversationTypes, type Action } from '../../../contract/galley/conversation-fields.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import { canDo } from '../rules/roles.ts'
import { memberOf, type Room, type StoredMember } from '../rules/stored-conversation.ts'

export interface Membership<Known = Room> {
  readonly room: Known
  readonly member: StoredMember
}

/** Conversations of other backends are not known here. */
export function requireLocal(domain: Domain, given: Domain): void {
  if (given !== domain) throw new ApiError(conversationErrors.noConversation)
}

/** For changes and sends: whoever is not in learns nothing. */
export function requireMember<Known extends Pick<Room, 'members'>>(
  room: Known | undefined,
  user: UserId,
): Membership<Known> {
  const member = room && memberOf(room, user)
  if (!room || !member) throw new ApiError(conversationErrors.noConversation)
  return { room, member }
}

/** For reads, where clients are told apart what is gone from what is closed to them. */
export function requireReader(room: Room | undefined, user: UserId): Membership {
  if (!room) throw new ApiError(conversationErrors.noConversation)
  const member = memberOf(room, user)
  if (!member) throw new ApiError(conversationErrors.accessDenied)
  return { room, member }
}

export function requireAction({ member }: Membership, action: Action): void {
  if (canDo(member.role, action)) return
  throw new ApiError(conversationErrors.actionDenied, {
    message: `Your role does not allow this (missing ${action})`,
  })
}

export function requireGroup({ room }: Membership): void {
  if (room.conversation.type !== conversationTypes.group) {
    throw new ApiError(conversationErrors.invalidOperation)
  }
}

/** Member, allowed, and a group: what nearly every change needs, in this order. */
export function requireGroupAction(
  room: Room | undefined,
  user: UserId,
  action: Action,
): Membership {
  const membership = requireMember(room, user)
  requireAction(membership, action)
  requireGroup(membership)
  return membership
}
