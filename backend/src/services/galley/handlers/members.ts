import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { ConversationRole } from '../../../contract/galley/conversation-fields.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { membersApi } from '../../../contract/galley/members.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import { withTime, type Actor, type ChangeLog } from '../changes.ts'
import { eventBody, joinData, leaveData } from '../rules/events.ts'
import { actionsOfRole } from '../rules/roles.ts'
import {
  memberOf,
  usersOf,
  type Room,
  type StoredConversation,
  type StoredMember,
} from '../rules/stored-conversation.ts'
import { selfMemberView } from '../rules/views.ts'
import type { ConversationStore } from '../store/conversations.ts'
import {
  requireAction,
  requireGroup,
  requireGroupAction,
  requireLocal,
  requireMember,
  requireReader,
} from './guards.ts'
import {
  requireAdmission,
  requireConnected,
  splitUsers,
  unreachableReply,
  type BrigClient,
} from './people.ts'

export interface MembersDeps {
  readonly domain: Domain
  readonly sizeLimit: number
  readonly brig: BrigClient
  readonly conversations: ConversationStore
  readonly changeLog: ChangeLog
}

export function membersHandlers(deps: MembersDeps): Handlers<typeof membersApi> {
  const { domain, sizeLimit, brig, conversations, changeLog } = deps

  async function requireAddable(
    actor: Actor,
    { access, accessRoles }: StoredConversation,
    added: readonly UserId[],
    sizeBefore: number,
  ): Promise<void> {
    if (sizeBefore + added.length > sizeLimit) throw new ApiError(conversationErrors.tooManyMembers)
    if (!access.includes('invite')) throw new ApiError(conversationErrors.accessDenied)
    await requireAdmission(brig, added, accessRoles)
    await requireConnected(brig, actor.user, added)
  }

  const joinDraft = (room: Room, actor: Actor, joined: readonly StoredMember[]) => {
    const { id } = room.conversation
    const data = joinData(domain, joined)
    const event = eventBody(domain, 'conversation.member-join', id, actor.user, data)
    const to = [...usersOf(room), ...joined.map(({ user }) => user)]
    return { effect: { kind: 'join' as const, members: joined }, event, to }
  }

  const leaveDraft = (
    room: Room,
    actor: Actor,
    users: readonly UserId[],
    reason: 'left' | 'removed',
  ) => {
    const { id } = room.conversation
    const data = leaveData(domain, users, reason)
    const event = eventBody(domain, 'conversation.member-leave', id, actor.user, data)
    // Those who go are told too: their other devices must know.
    return { effect: { kind: 'leave' as const, users }, event, to: usersOf(room) }
  }

  return {
    async addMembers({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const { local, unreachable } = splitUsers(domain, caller.user, body.qualified_users)
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const { room } = requireGroupAction(found, caller.user, 'add_conversation_member')
        if (unreachable.length > 0) return unreachableReply(unreachable)
        const added = local.filter((user) => !memberOf(room, user))
        await requireAddable(caller, room.conversation, added, room.members.length)
        if (added.length === 0) return { status: 204 }
        const role = body.conversation_role
        const { effect, event, to } = joinDraft(
          room,
          caller,
          added.map((user) => ({ user, role })),
        )
        const [timeMs = 0] = await perform(caller, { effects: [effect], events: [{ event, to }] })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async replaceMembers({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const { unreachable } = splitUsers(domain, caller.user, body.qualified_users)
      const wanted = [...new Set(body.qualified_users.map(({ id }) => id))]
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const membership = requireGroupAction(found, caller.user, 'add_conversation_member')
        const { room } = membership
        const added = wanted.filter((user) => !memberOf(room, user))
        const gone = usersOf(room).filter((user) => !wanted.includes(user))
        if (gone.length > 0) requireAction(membership, 'remove_conversation_member')
        if (unreachable.length > 0) return unreachableReply(unreachable)
        const steps = []
        if (added.length > 0) {
          const sizeBefore = room.members.length - gone.length
          await requireAddable(caller, room.conversation, added, sizeBefore)
          const role = body.conversation_role
          const joined = added.map((user) => ({ user, role }))
          steps.push(joinDraft(room, caller, joined))
        }
        if (gone.length > 0) steps.push(leaveDraft(room, caller, gone, 'removed'))
        if (steps.length > 0) {
          // The new members see who goes, too.
          const everybody = [...usersOf(room), ...added]
          await perform(caller, {
            effects: steps.map(({ effect }) => effect),
            events: steps.map(({ event }) => ({ event, to: everybody })),
          })
        }
        return { status: 200 }
      })
    },

    async removeMember({ caller, params }) {
      requireLocal(domain, params.domain)
      const isLeaving = params.userDomain === domain && params.user === caller.user
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const action = isLeaving ? 'leave_conversation' : 'remove_conversation_member'
        const { room } = requireGroupAction(found, caller.user, action)
        if (params.userDomain !== domain || !memberOf(room, params.user)) return { status: 204 }
        const reason = isLeaving ? 'left' : 'removed'
        const { effect, event, to } = leaveDraft(room, caller, [params.user], reason)
        const [timeMs = 0] = await perform(caller, { effects: [effect], events: [{ event, to }] })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async updateMember({ caller, params, body }) {
      requireLocal(domain, params.domain)
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const membership = requireMember(found, caller.user)
        const isSelf = params.userDomain === domain && params.user === caller.user
        if (isSelf) throw new ApiError(conversationErrors.invalidOperation)
        requireAction(membership, 'modify_other_conversation_member')
        requireGroup(membership)
        const { room } = membership
        const target = params.userDomain === domain ? memberOf(room, params.user) : undefined
        if (!target) throw new ApiError(conversationErrors.noMember)
        const { user } = target
        const role = body.conversation_role
        const event = eventBody(
          domain,
          'conversation.member-update',
          params.conversation,
          caller.user,
          { target: user, qualified_target: { domain, id: user }, conversation_role: role },
        )
        await perform(caller, {
          effects: [{ kind: 'role', member: { user, role } }],
          events: [{ event, to: usersOf(room) }],
        })
        return { status: 200 }
      })
    },

    async getSelf({ caller, params }) {
      requireLocal(domain, params.domain)
      const { member } = requireMember(await conversations.find(params.conversation), caller.user)
      const preferences = await conversations.preferencesOf(caller.user, params.conversation)
      return { status: 200, body: selfMemberView(domain, member, preferences) }
    },

    async updateSelf({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const { user } = caller
      return changeLog.within(params.conversation, async ({ room, perform }) => {
        requireMember(room, user)
        const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
        const event = eventBody(domain, 'conversation.member-update', params.conversation, user, {
          ...given,
          target: user,
          qualified_target: { domain, id: user },
        })
        const preferences = {
          mutedStatus: body.otr_muted_status ?? undefined,
          mutedRef: body.otr_muted_ref ?? undefined,
          isArchived: body.otr_archived ?? undefined,
          archivedRef: body.otr_archived_ref ?? undefined,
          isHidden: body.hidden ?? undefined,
          hiddenRef: body.hidden_ref ?? undefined,
        }
        await perform(caller, {
          effects: [{ kind: 'preferences', user, preferences }],
          events: [{ event, to: [user] }],
        })
        return { status: 200 }
      })
    },

    async listRoles({ caller, params }) {
      requireReader(await conversations.find(params.conversation), caller.user)
      return {
        status: 200,
        body: {
          conversation_roles: ConversationRole.options.map((role) => ({
            conversation_role: role,
            actions: [...actionsOfRole[role]],
          })),
        },
      }
    },
  }
}
