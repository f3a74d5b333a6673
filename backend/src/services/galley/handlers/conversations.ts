import type { HandlerInput, Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import { conversationTypes } from '../../../contract/galley/conversation-fields.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { conversationsApi, NewConversation } from '../../../contract/galley/conversations.ts'
import type { ConversationId, Domain, UserId } from '../../../contract/ids.ts'
import type { Ids } from '../../../platform/ids.ts'
import { mapBounded } from '../bounded.ts'
import type { ChangeLog } from '../changes.ts'
import { defaultAccess, defaultAccessRoles } from '../rules/access.ts'
import { oneToOneConversationId } from '../rules/conversation-ids.ts'
import { readPagingState, writePagingState } from '../rules/paging-state.ts'
import type { Room, StoredConversation } from '../rules/stored-conversation.ts'
import { conversationView, ownConversationView } from '../rules/views.ts'
import type { SelfConversations } from '../self-conversations.ts'
import type { ConversationStore } from '../store/conversations.ts'
import { requireLocal, requireReader } from './guards.ts'
import { requireConnected, splitUsers, unreachableReply, type BrigClient } from './people.ts'

export interface ConversationsDeps {
  readonly domain: Domain
  readonly sizeLimit: number
  readonly ids: Ids
  readonly brig: BrigClient
  readonly conversations: ConversationStore
  readonly selfConversations: SelfConversations
  readonly changeLog: ChangeLog
}

type Api = typeof conversationsApi

const defaultPageSize = 1000

export function conversationsHandlers(deps: ConversationsDeps): Handlers<Api> {
  const { domain, sizeLimit, ids, brig, conversations, selfConversations, changeLog } = deps

  async function own(room: Room, viewer: UserId) {
    const preferences = await conversations.preferencesOf(viewer, room.conversation.id)
    const view = ownConversationView(domain, room, viewer, preferences)
    if (!view) throw new ApiError(conversationErrors.noConversation)
    return view
  }

  async function create(
    caller: HandlerInput<Api['createConversation']>['caller'],
    wanted: NewConversation,
  ) {
    const { local, unreachable } = splitUsers(
      domain,
      caller.user,
      wanted.qualified_users,
      wanted.users,
    )
    if (wanted.protocol === 'mls' && local.length + unreachable.length > 0) {
      throw new ApiError(conversationErrors.nonEmptyMemberList)
    }
    if (local.length >= sizeLimit) {
      throw new ApiError(kitErrors.badRequest, {
        message: `A conversation has at most ${String(sizeLimit)} members`,
      })
    }
    await requireCreator(caller.user, wanted)
    if (wanted.history) throw new ApiError(conversationErrors.historyNotSupported)
    if (wanted.protocol === 'mls') throw new ApiError(conversationErrors.mlsNotEnabled)
    if (unreachable.length > 0) return unreachableReply(unreachable)
    await requireConnected(brig, caller.user, local)

    const conversation = newGroup(ids.uuid() as ConversationId, caller.user, wanted)
    const role = wanted.conversation_role
    const members = [
      { user: caller.user, role: 'wire_admin' as const },
      ...local.map((user) => ({ user, role })),
    ]
    await changeLog.within(conversation.id, ({ perform }) =>
      perform(caller, {
        effects: [
          { kind: 'create', conversation },
          { kind: 'join', members },
        ],
        created: members.map(({ user }) => user),
      }),
    )
    return {
      status: 201 as const,
      headers: { location: conversation.id },
      body: {
        ...(await own({ conversation, members }, caller.user)),
        failed_to_add: [],
      },
    }
  }

  /** Guests create nothing, teams and channels do not exist, and a parent must be one's own. */
  async function requireCreator(user: UserId, wanted: NewConversation): Promise<void> {
    if (wanted.team) throw new ApiError(conversationErrors.noTeamMember)
    const isGroup = (wanted.group_conv_type ?? 'group_conversation') === 'group_conversation'
    const [{ body }, parent] = await Promise.all([
      brig.listUserSummaries({ body: { users: [user] } }),
      wanted.parent ? conversations.find(wanted.parent) : undefined,
    ])
    const isInParent =
      !wanted.parent || parent?.members.some((member) => member.user === user) === true
    if (!isGroup || !isInParent || body.users[0]?.isActivated !== true) {
      throw new ApiError(conversationErrors.operationDenied)
    }
    if (wanted.access_role?.length === 0) throw new ApiError(conversationErrors.accessDenied)
  }

  async function get({ caller, params }: HandlerInput<Api['getConversation']>) {
    requireLocal(domain, params.domain)
    const { room } = requireReader(await conversations.find(params.conversation), caller.user)
    const preferences = await conversations.preferencesOf(caller.user, params.conversation)
    const view = conversationView(domain, room, caller.user, preferences)
    if (!view) throw new ApiError(conversationErrors.accessDenied)
    return { status: 200 as const, body: view }
  }

  async function list({ caller, body }: HandlerInput<Api['listConversations']>) {
    const wanted = new Map(body.qualified_ids.map((id) => [`${id.id}@${id.domain}`, id]))
    const looked = await mapBounded([...wanted.values()], async (id) => {
      const room = id.domain === domain ? await conversations.find(id.id) : undefined
      const isMember = room?.members.some(({ user }) => user === caller.user) === true
      return { id, view: room && isMember ? await own(room, caller.user) : undefined }
    })
    return {
      status: 200 as const,
      body: {
        found: looked.flatMap(({ view }) => view ?? []),
        not_found: looked.flatMap(({ id, view }) => (view ? [] : id)),
        failed: [],
      },
    }
  }

  async function createSelf({ caller }: HandlerInput<Api['createSelfConversation']>) {
    const { room, isNew } = await selfConversations.ensure(caller.user)
    return createdReply(await own(room, caller.user), isNew)
  }

  async function createOneToOne(input: HandlerInput<Api['createOneToOneConversation']>) {
    const { caller, body } = input
    const named = [...body.qualified_users, ...body.users.map((id) => ({ domain, id }))]
    const [other] = named
    if (named.length !== 1 || !other) {
      throw new ApiError(kitErrors.badRequest, { message: 'Name exactly one other user' })
    }
    if (other.domain === domain && other.id === caller.user) {
      throw new ApiError(conversationErrors.invalidOperation)
    }
    if (body.team) throw new ApiError(conversationErrors.noTeamMember)
    if (other.domain !== domain) return unreachableReply([other.domain])
    await requireConnected(brig, caller.user, [other.id])

    const id = oneToOneConversationId(caller.user, other.id)
    const { room, isNew } = await changeLog.within(id, async ({ room: existing, perform }) => {
      if (existing) return { room: existing, isNew: false }
      const conversation: StoredConversation = {
        id,
        type: conversationTypes.oneToOne,
        creator: caller.user,
        access: ['private'],
        accessRoles: [],
        name: body.name ?? undefined,
        cellsState: 'disabled',
      }
      const members = [caller.user, other.id].map((user) => ({
        user,
        role: 'wire_admin' as const,
      }))
      await perform(caller, {
        effects: [
          { kind: 'create', conversation },
          { kind: 'join', members },
        ],
        created: [caller.user, other.id],
      })
      return { room: { conversation, members }, isNew: true }
    })
    return createdReply(await own(room, caller.user), isNew)
  }

  return {
    createConversationV8: ({ caller, body }) => create(caller, body),
    createConversationV9: ({ caller, body }) => create(caller, body),
    createConversationV10: ({ caller, body }) => create(caller, body),
    createConversationV12: ({ caller, body }) => create(caller, body),
    createConversation: ({ caller, body }) => create(caller, body),

    async getConversationV8({ caller, params }) {
      requireLocal(domain, params.domain)
      const { room } = requireReader(await conversations.find(params.conversation), caller.user)
      return { status: 200, body: await own(room, caller.user) }
    },
    getConversationV10: get,
    getConversationV12: get,
    getConversation: get,

    listConversationsV8: list,
    listConversationsV12: list,
    listConversations: list,

    async listConversationIds({ caller, body }) {
      const after = body.paging_state ? requirePagingState(body.paging_state) : undefined
      // Clients find their self conversation in this list.
      if (after === undefined) await selfConversations.ensure(caller.user)
      const size = body.size ?? defaultPageSize
      const found = await conversations.listOf(caller.user, after, size + 1)
      const page = found.slice(0, size)
      return {
        status: 200,
        body: {
          qualified_conversations: page.map((id) => ({ domain, id })),
          has_more: found.length > size,
          paging_state: writePagingState(page.at(-1) ?? after),
        },
      }
    },

    createSelfConversationV8: createSelf,
    createSelfConversationV12: createSelf,
    createSelfConversation: createSelf,

    createOneToOneConversationV8: createOneToOne,
    createOneToOneConversationV12: createOneToOne,
    createOneToOneConversation: createOneToOne,
  }
}

function newGroup(
  id: ConversationId,
  creator: UserId,
  wanted: NewConversation,
): StoredConversation {
  return {
    id,
    type: conversationTypes.group,
    creator,
    access: wanted.access?.length ? wanted.access : defaultAccess,
    accessRoles: wanted.access_role ?? defaultAccessRoles,
    name: wanted.name ?? undefined,
    messageTimerMs: wanted.message_timer ?? undefined,
    receiptMode: wanted.receipt_mode ?? undefined,
    parent: wanted.parent ?? undefined,
    cellsState: wanted.cells === true ? 'pending' : 'disabled',
  }
}

function createdReply<Body extends { id: ConversationId }>(body: Body, isNew: boolean) {
  const headers = { location: body.id }
  return isNew ? { status: 201 as const, headers, body } : { status: 200 as const, headers, body }
}

function requirePagingState(text: string): ConversationId | undefined {
  const state = readPagingState(text)
  if (state) return state.last
  throw new ApiError(kitErrors.badRequest, { message: 'The paging state is not one of ours' })
}
