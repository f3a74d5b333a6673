import { conversationTypes } from '../../contract/galley/conversation-fields.ts'
import type { UserId } from '../../contract/ids.ts'
import type { ChangeLog } from './changes.ts'
import { selfConversationId } from './rules/conversation-ids.ts'
import type { Room } from './rules/stored-conversation.ts'
import type { ConversationStore } from './store/conversations.ts'

export interface SelfConversations {
  /** Every user has one, for what its devices tell one another; it is made when first needed. */
  ensure(user: UserId): Promise<{ room: Room; isNew: boolean }>
}

export function selfConversations(deps: {
  conversations: ConversationStore
  changeLog: ChangeLog
}): SelfConversations {
  return {
    async ensure(user) {
      const id = selfConversationId(user)
      const existing = await deps.conversations.find(id)
      if (existing?.members.length) return { room: existing, isNew: false }
      return deps.changeLog.within(id, async ({ room, perform }) => {
        if (room?.members.length) return { room, isNew: false }
        const conversation = {
          id,
          type: conversationTypes.self,
          creator: user,
          access: ['private'],
          accessRoles: [],
          cellsState: 'disabled',
        } as const
        const members = [{ user, role: 'wire_admin' }] as const
        await perform(
          { user },
          {
            effects: [
              { kind: 'create', conversation },
              { kind: 'join', members },
            ],
          },
        )
        return { room: { conversation, members }, isNew: true }
      })
    },
  }
}
