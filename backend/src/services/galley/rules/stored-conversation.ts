import type {
  Access,
  AccessRole,
  CellsState,
  ConversationRole,
  ConversationType,
} from '../../../contract/galley/conversation-fields.ts'
import type { ConversationId, UserId } from '../../../contract/ids.ts'

/** What galley knows of a conversation besides its members. All are Proteus, none has a team. */
export interface StoredConversation {
  readonly id: ConversationId
  readonly type: ConversationType
  readonly creator: UserId
  readonly access: readonly Access[]
  readonly accessRoles: readonly AccessRole[]
  readonly name?: string | undefined
  readonly messageTimerMs?: number | undefined
  readonly receiptMode?: number | undefined
  readonly parent?: ConversationId | undefined
  readonly cellsState: CellsState
}

export interface StoredMember {
  readonly user: UserId
  readonly role: ConversationRole
}

/** What a member keeps about a conversation for its own devices. */
export interface StoredPreferences {
  readonly mutedStatus?: number | undefined
  readonly mutedRef?: string | undefined
  readonly isArchived?: boolean | undefined
  readonly archivedRef?: string | undefined
  readonly isHidden?: boolean | undefined
  readonly hiddenRef?: string | undefined
}

export interface Room {
  readonly conversation: StoredConversation
  readonly members: readonly StoredMember[]
}

export const memberOf = (room: Pick<Room, 'members'>, user: UserId): StoredMember | undefined =>
  room.members.find((member) => member.user === user)

export const usersOf = (room: Pick<Room, 'members'>): UserId[] =>
  room.members.map(({ user }) => user)
