import type { Handlers } from '../../../contract/endpoint.ts'
import type { typingApi } from '../../../contract/galley/typing.ts'
import type { Domain } from '../../../contract/ids.ts'
import type { Platform } from '../../../platform/service.ts'
import type { PushToInboxes } from '../push.ts'
import { eventBody } from '../rules/events.ts'
import { usersOf } from '../rules/stored-conversation.ts'
import type { ConversationStore } from '../store/conversations.ts'
import { requireLocal, requireMember } from './guards.ts'

export interface TypingDeps {
  readonly domain: Domain
  readonly platform: Pick<Platform, 'clock' | 'ids'>
  readonly conversations: ConversationStore
  readonly push: PushToInboxes
}

export function typingHandlers(deps: TypingDeps): Handlers<typeof typingApi> {
  const { domain, conversations, push } = deps
  const { clock, ids } = deps.platform
  return {
    async setTyping({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const { conversation, domain: _ } = params
      const members = await conversations.membersOf(conversation)
      const { room } = requireMember({ members }, caller.user)
      const others = usersOf(room).filter((user) => user !== caller.user)
      if (others.length > 0) {
        await push({
          requestId: ids.uuid(),
          recipients: others.map((user) => ({ user })),
          events: [eventBody(domain, 'conversation.typing', conversation, caller.user, body)],
          isTransient: true,
          origin: { user: caller.user, connection: caller.connection },
          eventTimeMs: clock.nowMs(),
        })
      }
      return { status: 200 }
    },
  }
}
