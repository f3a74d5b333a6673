import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { guestLinksApi } from '../../../contract/galley/guest-links.ts'
import type { ConversationId, Domain } from '../../../contract/ids.ts'
import type { Ids } from '../../../platform/ids.ts'
import type { Passwords } from '../../../platform/passwords.ts'
import { withTime, type ChangeLog } from '../changes.ts'
import { eventBody, joinData } from '../rules/events.ts'
import { serverFeatures } from '../rules/features.ts'
import { admitsOutsiders, codeBytes, codeInfo, codeKey, isSameCode } from '../rules/guest-links.ts'
import { memberOf, usersOf, type Room } from '../rules/stored-conversation.ts'
import { codeRemoval, type CodeStore, type StoredCode } from '../store/codes.ts'
import type { ConversationStore } from '../store/conversations.ts'
import { requireGroup, requireMember, type Membership } from './guards.ts'
import { requireAdmission, type BrigClient } from './people.ts'

export interface GuestLinksDeps {
  readonly domain: Domain
  readonly sizeLimit: number
  readonly guestLinks: {
    readonly isEnabled: boolean
    readonly uriPrefix: string
    readonly ttlSeconds: number
  }
  readonly ids: Ids
  readonly passwords: Passwords
  readonly brig: BrigClient
  readonly conversations: ConversationStore
  readonly codes: CodeStore
  readonly changeLog: ChangeLog
}

export function guestLinksHandlers(deps: GuestLinksDeps): Handlers<typeof guestLinksApi> {
  const { domain, sizeLimit, guestLinks, ids, passwords, brig, conversations, codes, changeLog } =
    deps

  function requireEnabled(): void {
    if (!guestLinks.isEnabled) throw new ApiError(conversationErrors.guestLinksDisabled)
  }

  function requireAdmin({ member }: Membership): void {
    if (member.role !== 'wire_admin') throw new ApiError(conversationErrors.accessDenied)
  }

  function requireCodeAccess({ conversation }: Room): void {
    if (!conversation.access.includes('code')) throw new ApiError(conversationErrors.accessDenied)
  }

  async function requireCode(given: { key: string; code: string }): Promise<StoredCode> {
    const stored = await codes.find(given.key)
    if (!stored || !isSameCode(stored.code, given.code)) {
      throw new ApiError(conversationErrors.noCode)
    }
    return stored
  }

  function existingCode(stored: StoredCode, password: string | null | undefined) {
    if (stored.passwordHash !== undefined || password) {
      throw new ApiError(conversationErrors.codeConflict)
    }
    return { status: 200 as const, body: codeInfo(guestLinks.uriPrefix, stored) }
  }

  async function requireConversation(id: ConversationId): Promise<Room> {
    const room = await conversations.find(id)
    if (!room) throw new ApiError(conversationErrors.noConversation)
    return room
  }

  return {
    async createCode({ caller, params, body }) {
      // One for all attempts: the second finds what the first one wrote.
      let wanted: StoredCode | undefined
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const membership = requireMember(found, caller.user)
        requireEnabled()
        requireAdmin(membership)
        const { room } = membership
        requireCodeAccess(room)
        if (!admitsOutsiders(room.conversation.accessRoles)) {
          throw new ApiError(conversationErrors.accessDenied)
        }
        const { id } = room.conversation
        const key = codeKey(id)
        const existing = await codes.find(key)
        if (existing && existing.code !== wanted?.code) return existingCode(existing, body.password)
        wanted ??= {
          key,
          conversation: id,
          code: ids.token(codeBytes),
          passwordHash: body.password ? await passwords.hash(body.password) : undefined,
        }
        const stored = existing ?? (await codes.create(wanted, guestLinks.ttlSeconds))
        if (stored.code !== wanted.code) return existingCode(stored, body.password)
        const info = codeInfo(guestLinks.uriPrefix, stored)
        const event = eventBody(domain, 'conversation.code-update', id, caller.user, info)
        const [timeMs = 0] = await perform(caller, {
          effects: [],
          events: [{ event, to: usersOf(room) }],
        })
        return { status: 201, body: withTime(event, timeMs) }
      })
    },

    async getCode({ caller, params }) {
      const { room } = requireMember(await conversations.find(params.conversation), caller.user)
      requireEnabled()
      requireCodeAccess(room)
      const stored = await codes.find(codeKey(params.conversation))
      if (!stored) throw new ApiError(conversationErrors.noCode)
      return { status: 200, body: codeInfo(guestLinks.uriPrefix, stored) }
    },

    async deleteCode({ caller, params }) {
      return changeLog.within(params.conversation, async ({ room: found, perform }) => {
        const membership = requireMember(found, caller.user)
        requireAdmin(membership)
        requireCodeAccess(membership.room)
        const removal = await codeRemoval(codes, params.conversation)
        const event = eventBody(
          domain,
          'conversation.code-delete',
          params.conversation,
          caller.user,
          null,
        )
        const [timeMs = 0] = await perform(caller, {
          effects: removal,
          events: [{ event, to: usersOf(membership.room) }],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async checkCode({ body }) {
      if (!guestLinks.isEnabled) throw new ApiError(conversationErrors.noCode)
      await requireCode(body)
      return { status: 200 }
    },

    async getJoin({ caller, query }) {
      const stored = await requireCode(query)
      const room = await requireConversation(stored.conversation)
      requireCodeAccess(room)
      await requireAdmission(brig, [caller.user], room.conversation.accessRoles)
      requireEnabled()
      const { id, name } = room.conversation
      return {
        status: 200,
        body: {
          id,
          ...(name !== undefined && { name }),
          has_password: stored.passwordHash !== undefined,
        },
      }
    },

    async join({ caller, body }) {
      const stored = await requireCode(body)
      if (
        stored.passwordHash !== undefined &&
        !(body.password && (await passwords.verify(body.password, stored.passwordHash)))
      ) {
        throw new ApiError(conversationErrors.invalidPassword)
      }
      requireEnabled()
      return changeLog.within(stored.conversation, async ({ room, perform }) => {
        if (!room) throw new ApiError(conversationErrors.noConversation)
        requireCodeAccess(room)
        const { id, accessRoles } = room.conversation
        await requireAdmission(brig, [caller.user], accessRoles)
        const member = { user: caller.user, role: 'wire_member' as const }
        requireGroup({ room, member })
        if (memberOf(room, caller.user)) return { status: 204 }
        if (room.members.length >= sizeLimit) throw new ApiError(conversationErrors.tooManyMembers)
        const data = joinData(domain, [member])
        const event = eventBody(domain, 'conversation.member-join', id, caller.user, data)
        const [timeMs = 0] = await perform(caller, {
          effects: [{ kind: 'join', members: [member] }],
          events: [{ event, to: [...usersOf(room), caller.user] }],
        })
        return { status: 200, body: withTime(event, timeMs) }
      })
    },

    async getGuestLinksFeature({ caller, params }) {
      requireAdmin(requireMember(await conversations.find(params.conversation), caller.user))
      const { conversationGuestLinks } = serverFeatures({
        areGuestLinksEnabled: guestLinks.isEnabled,
      })
      return { status: 200, body: conversationGuestLinks }
    },
  }
}
