import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { conversationSettingsApi } from '../../../contract/galley/conversation-settings.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import { withTime, type ChangeLog } from '../changes.ts'
import { isSameSet, isValidAccess, legacyAccessRole } from '../rules/access.ts'
import { eventBody, leaveData } from '../rules/events.ts'
import { usersOf, type Room } from '../rules/stored-conversation.ts'
import { codeRemoval, type CodeStore } from '../store/codes.ts'
import { requireGroupAction, requireLocal } from './guards.ts'
import type { BrigClient } from './people.ts'

export interface ConversationSettingsDeps {
  readonly domain: Domain
  readonly brig: BrigClient
  readonly codes: CodeStore
  readonly changeLog: ChangeLog
}

export function conversationSettingsHandlers(
  deps: ConversationSettingsDeps,
): Handlers<typeof conversationSettingsApi> {
  const { domain, brig, codes, changeLog } = deps

  /** Members who may not stay when guests may not. */
  async function guestsIn(room: Room): Promise<UserId[]> {
    const { body } = await brig.listUserSummaries({ body: { users: usersOf(room) } })
    return body.users.filter(({ isActivated }) => !isActivated).map(({ id }) => id)
  }

  return {
    async rename({ caller, params, body }) {
      requireLocal(domain, params.domain)
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const { room } = requireGroupAction(found, caller.user, 'modify_conversation_name')
        const { id, name } = room.conversation
        if (name === body.name) return { status: 204 }
        const event = eventBody(domain, 'conversation.rename', id, caller.user, { name: body.name })
        const [timeMs = 0] = await perform(caller, {
          effects: [{ kind: 'change', changes: { name: body.name } }],
          events: [{ event, to: usersOf(room) }],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async setMessageTimer({ caller, params, body }) {
      requireLocal(domain, params.domain)
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const action = 'modify_conversation_message_timer'
        const { room } = requireGroupAction(found, caller.user, action)
        const { id, messageTimerMs } = room.conversation
        const message_timer = body.message_timer ?? null
        if ((messageTimerMs ?? null) === message_timer) return { status: 204 }
        const event = eventBody(domain, 'conversation.message-timer-update', id, caller.user, {
          message_timer,
        })
        const [timeMs = 0] = await perform(caller, {
          effects: [{ kind: 'change', changes: { messageTimerMs: message_timer } }],
          events: [{ event, to: usersOf(room) }],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async setReceiptMode({ caller, params, body }) {
      requireLocal(domain, params.domain)
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const action = 'modify_conversation_receipt_mode'
        const { room } = requireGroupAction(found, caller.user, action)
        const { id, receiptMode } = room.conversation
        const { receipt_mode } = body
        if (receiptMode === receipt_mode) return { status: 204 }
        const event = eventBody(domain, 'conversation.receipt-mode-update', id, caller.user, {
          receipt_mode,
        })
        const [timeMs = 0] = await perform(caller, {
          effects: [{ kind: 'change', changes: { receiptMode: receipt_mode } }],
          events: [{ event, to: usersOf(room) }],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async setAccess({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const access = [...new Set(body.access)]
      const accessRoles = [...new Set(body.access_role)]
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const { room } = requireGroupAction(found, caller.user, 'modify_conversation_access')
        if (!isValidAccess(access, accessRoles)) {
          throw new ApiError(conversationErrors.invalidOperation)
        }
        const { conversation } = room
        const { id } = conversation
        if (
          isSameSet(conversation.access, access) &&
          isSameSet(conversation.accessRoles, accessRoles)
        ) {
          return { status: 204 }
        }
        const removal = access.includes('code') ? [] : await codeRemoval(codes, id)
        const gone = accessRoles.includes('guest') ? [] : await guestsIn(room)
        const event = eventBody(domain, 'conversation.access-update', id, caller.user, {
          access,
          access_role: legacyAccessRole(accessRoles),
          access_role_v2: accessRoles,
        })
        const leave = eventBody(
          domain,
          'conversation.member-leave',
          id,
          caller.user,
          leaveData(domain, gone, 'removed'),
        )
        const to = usersOf(room)
        const isAnyGone = gone.length > 0
        const [timeMs = 0] = await perform(caller, {
          effects: [
            ...removal,
            { kind: 'change', changes: { access, accessRoles } },
            ...(isAnyGone ? [{ kind: 'leave' as const, users: gone }] : []),
          ],
          events: [{ event, to }, ...(isAnyGone ? [{ event: leave, to }] : [])],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },
  }
}
