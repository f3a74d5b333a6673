import type {
  Conversation,
  OtherMember,
  OwnConversation,
  SelfMember,
} from '../../../contract/galley/conversation-fields.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import {
  memberOf,
  type Room,
  type StoredConversation,
  type StoredMember,
  type StoredPreferences,
} from './stored-conversation.ts'

/** As a member sees it; undefined for everybody else. */
export function conversationView(
  domain: Domain,
  room: Room,
  viewer: UserId,
  preferences: StoredPreferences,
): Conversation | undefined {
  const own = ownConversationView(domain, room, viewer, preferences)
  if (own === undefined) return undefined
  const { id: _, ...view } = own
  return view
}

/** The older view, which repeats the id. */
export function ownConversationView(
  domain: Domain,
  room: Room,
  viewer: UserId,
  preferences: StoredPreferences,
): OwnConversation | undefined {
  const self = memberOf(room, viewer)
  if (self === undefined) return undefined
  return {
    ...metadataView(domain, room.conversation),
    id: room.conversation.id,
    members: {
      self: selfMemberView(domain, self, preferences),
      others: room.members
        .filter(({ user }) => user !== viewer)
        .map((member) => otherMemberView(domain, member)),
    },
  }
}

function metadataView(domain: Domain, conversation: StoredConversation) {
  return {
    qualified_id: { domain, id: conversation.id },
    type: conversation.type,
    creator: conversation.creator,
    access: [...conversation.access],
    access_role: [...conversation.accessRoles],
    name: conversation.name ?? null,
    team: null,
    message_timer: conversation.messageTimerMs ?? null,
    receipt_mode: conversation.receiptMode ?? null,
    group_conv_type: 'group_conversation' as const,
    add_permission: null,
    cells_state: conversation.cellsState,
    last_event: '0.0' as const,
    last_event_time: '1970-01-01T00:00:00.000Z' as const,
    protocol: 'proteus' as const,
    parent: conversation.parent ?? null,
    history: null,
  }
}

export function selfMemberView(
  domain: Domain,
  { user, role }: StoredMember,
  preferences: StoredPreferences,
): SelfMember {
  return {
    qualified_id: { domain, id: user },
    id: user,
    conversation_role: role,
    service: null,
    status: 0,
    status_ref: '0.0',
    status_time: '1970-01-01T00:00:00.000Z',
    otr_muted_status: preferences.mutedStatus ?? null,
    otr_muted_ref: preferences.mutedRef ?? null,
    otr_archived: preferences.isArchived ?? false,
    otr_archived_ref: preferences.archivedRef ?? null,
    hidden: preferences.isHidden ?? false,
    hidden_ref: preferences.hiddenRef ?? null,
  }
}

const otherMemberView = (domain: Domain, { user, role }: StoredMember): OtherMember => ({
  qualified_id: { domain, id: user },
  id: user,
  conversation_role: role,
  status: 0,
})
