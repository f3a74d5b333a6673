import type { Handlers } from '../../../contract/endpoint.ts'
import { conversationTypes } from '../../../contract/galley/conversation-fields.ts'
import type { galleyInternalApi } from '../../../contract/galley/internal.ts'
import type { ConversationId, Domain, UserId } from '../../../contract/ids.ts'
import type { Platform } from '../../../platform/service.ts'
import type { Actor, ChangeLog, Turn } from '../changes.ts'
import { oneToOneConversationId } from '../rules/conversation-ids.ts'
import { eventBody, joinData, leaveData } from '../rules/events.ts'
import { memberOf, usersOf, type StoredConversation } from '../rules/stored-conversation.ts'
import type { SelfConversations } from '../self-conversations.ts'
import type { ClientStore } from '../store/clients.ts'
import type { ConversationStore } from '../store/conversations.ts'

export interface InternalDeps {
  readonly domain: Domain
  readonly platform: Pick<Platform, 'clock'>
  readonly conversations: ConversationStore
  readonly clients: ClientStore
  readonly selfConversations: SelfConversations
  readonly changeLog: ChangeLog
}

const conversationsPerPage = 100

/** What brig asks for. Every call may come again after its answer was lost. */
export function internalHandlers(deps: InternalDeps): Handlers<typeof galleyInternalApi> {
  const { domain, conversations, clients, selfConversations, changeLog } = deps
  const { clock } = deps.platform

  /** Brings a user back into the conversation with another; both in makes it a full 1:1. */
  async function bringIn(
    { room, perform }: Turn,
    id: ConversationId,
    actor: Actor,
    other: UserId,
  ): Promise<void> {
    const member = { user: actor.user, role: 'wire_admin' as const }
    if (!room) {
      // The call that makes it got lost; the id says who belongs in.
      const members = [member, { user: other, role: 'wire_admin' as const }]
      await perform(actor, {
        effects: [
          { kind: 'create', conversation: between(id, conversationTypes.oneToOne, actor.user) },
          { kind: 'join', members },
        ],
        created: [actor.user, other],
      })
      return
    }
    const isIn = memberOf(room, actor.user) !== undefined
    const isOtherIn = memberOf(room, other) !== undefined
    const isConnect = room.conversation.type === conversationTypes.connect
    const promotion = {
      kind: 'change',
      changes: { type: conversationTypes.oneToOne },
    } as const
    const effects = [
      ...(isIn ? [] : [{ kind: 'join', members: [member] } as const]),
      ...(isConnect && isOtherIn ? [promotion] : []),
    ]
    if (effects.length === 0) return
    const data = joinData(domain, [member])
    const event = eventBody(domain, 'conversation.member-join', id, actor.user, data)
    const to = [...usersOf(room), actor.user]
    // In a 1:1 that both had before, clients know one another.
    const events = isConnect && !isIn ? [{ event, to }] : []
    await perform(actor, { effects, events })
  }

  async function leave(user: UserId, id: ConversationId): Promise<void> {
    await changeLog.within(id, async ({ room, perform }) => {
      const others = room ? usersOf(room).filter((member) => member !== user) : []
      const isTold = room?.conversation.type === conversationTypes.group && memberOf(room, user)
      const data = leaveData(domain, [user], 'user-deleted')
      const event = eventBody(domain, 'conversation.member-leave', id, user, data)
      await perform(
        { user },
        {
          effects: [{ kind: 'leave', users: [user] }],
          events: isTold ? [{ event, to: others }] : [],
        },
      )
    })
  }

  return {
    async addClient({ params }) {
      await clients.add(params.user, params.client, clock.nowMs())
      await selfConversations.ensure(params.user)
      return { status: 200 }
    },

    async removeClient({ params }) {
      await clients.remove(params.user, params.client)
      return { status: 200 }
    },

    async createConnectConversation({ body }) {
      const { from, to, name, message } = body
      const id = oneToOneConversationId(from, to)
      const actor = { user: from, connection: body.origin }
      const event = eventBody(domain, 'conversation.connect-request', id, from, {
        recipient: to,
        qualified_recipient: { domain, id: to },
        message: message ?? null,
        name: name ?? null,
        email: null,
      })
      const member = { user: from, role: 'wire_admin' as const }
      await changeLog.within(id, async (turn) => {
        const { room, perform } = turn
        if (!room) {
          const conversation = { ...between(id, conversationTypes.connect, from), name }
          await perform(actor, {
            effects: [
              { kind: 'create', conversation },
              // The other one comes in by accepting.
              { kind: 'join', members: [member] },
            ],
            created: [from],
            events: [{ event, to: [from] }],
          })
          return
        }
        const isOtherIn = memberOf(room, to) !== undefined
        const isConnect = room.conversation.type === conversationTypes.connect
        if (memberOf(room, from) ? !isConnect : isOtherIn || !isConnect) {
          await bringIn(turn, id, actor, to)
          return
        }
        await perform(actor, {
          effects: [
            { kind: 'join', members: [member] },
            ...(name === undefined ? [] : [{ kind: 'change', changes: { name } } as const]),
          ],
          events: [{ event, to: [...new Set([...usersOf(room), from])] }],
        })
      })
      return { status: 200, body: { conversation: { domain, id } } }
    },

    async acceptConnectConversation({ params, body }) {
      const actor = { user: body.user, connection: body.origin }
      await changeLog.within(params.conversation, (turn) =>
        bringIn(turn, params.conversation, actor, body.other),
      )
      return { status: 200 }
    },

    async unblockConnectConversation({ params, body }) {
      const actor = { user: body.user, connection: body.origin }
      await changeLog.within(params.conversation, (turn) =>
        bringIn(turn, params.conversation, actor, body.other),
      )
      return { status: 200 }
    },

    async blockConnectConversation({ params, body }) {
      await changeLog.within(params.conversation, async ({ room, perform }) => {
        if (!room || !memberOf(room, body.user)) return
        await perform({ user: body.user }, { effects: [{ kind: 'leave', users: [body.user] }] })
      })
      return { status: 200 }
    },

    async removeUser({ params }) {
      const { user } = params
      // Each step takes the conversation off the list, so a second call goes on where one ended.
      for (;;) {
        const page = await conversations.listOf(user, undefined, conversationsPerPage)
        if (page.length === 0) break
        for (const id of page) await leave(user, id)
      }
      await clients.removeAll(user)
      return { status: 200 }
    },
  }
}

const between = (
  id: ConversationId,
  type: StoredConversation['type'],
  creator: UserId,
): StoredConversation => ({
  id,
  type,
  creator,
  access: ['private'],
  accessRoles: [],
  cellsState: 'disabled',
})
