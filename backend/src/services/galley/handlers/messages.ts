import type { Handlers, UserCaller } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type {
  ClientMismatch,
  MessageSendingStatus,
  MissingFilters,
  messagesApi,
} from '../../../contract/galley/messages.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { ConversationId, Domain, UserId } from '../../../contract/ids.ts'
import type { OtrMessage, UnqualifiedOtrMessage } from '../../../contract/proteus/otr-message.ts'
import type { Platform } from '../../../platform/service.ts'
import { timeFor, type PushToInboxes } from '../push.ts'
import { selfConversationId } from '../rules/conversation-ids.ts'
import { eventBody } from '../rules/events.ts'
import {
  compareRecipients,
  devicesIn,
  isEmpty,
  type Comparison,
  type Delivery,
  type Devices,
} from '../rules/mismatch.ts'
import { strategyOf } from '../rules/missing-filters.ts'
import { usersOf } from '../rules/stored-conversation.ts'
import type { ClientStore } from '../store/clients.ts'
import type { ConversationStore } from '../store/conversations.ts'
import { requireLocal, requireMember } from './guards.ts'
import type { BrigClient } from './people.ts'

export interface MessagesDeps {
  readonly domain: Domain
  readonly maxBroadcastUsers: number
  readonly platform: Pick<Platform, 'clock' | 'ids'>
  readonly brig: BrigClient
  readonly conversations: ConversationStore
  readonly clients: ClientStore
  readonly push: PushToInboxes
}

interface Outcome {
  readonly comparison: Comparison
  readonly timeMs: number
}

/**
 * Sends. Members and devices are read for each one, so a send that begins after somebody joined,
 * left or got a device was answered counts it. One push carries all ciphertexts, each for one device;
 * it is durable in every inbox before the sender is answered, and so before any later send.
 */
export function messagesHandlers(deps: MessagesDeps): Handlers<typeof messagesApi> {
  const { domain, maxBroadcastUsers, brig, conversations, clients, push } = deps
  const { clock, ids } = deps.platform

  async function send(
    caller: UserCaller,
    conversation: ConversationId,
    message: OtrMessage,
  ): Promise<Outcome> {
    const members = await conversations.membersOf(conversation)
    const { room } = requireMember({ members }, caller.user)
    const devices = await clients.devicesOf(usersOf(room))
    return sendTo(caller, devices, message, () => conversation)
  }

  async function broadcast(caller: UserCaller, message: OtrMessage): Promise<Outcome> {
    const named = message.recipients.get(domain)?.size ?? 0
    const { body } = await brig.listContacts({ body: { user: caller.user } })
    const contacts = addressed(body.contacts, message)
    if (named > maxBroadcastUsers || contacts.length > maxBroadcastUsers) {
      throw new ApiError(conversationErrors.tooManyToBroadcast)
    }
    const devices = await clients.devicesOf([...contacts, caller.user])
    // There is no common conversation: each gets it in the one with itself.
    return sendTo(caller, devices, message, selfConversationId)
  }

  /** With `report-only`, a broadcast may go to a few of very many contacts. */
  function addressed(contacts: readonly UserId[], { strategy, recipients }: OtrMessage): UserId[] {
    if (strategy.kind !== 'report-only') return [...contacts]
    const listed = new Set(
      strategy.users.filter((user) => user.domain === domain).map(({ id }) => id),
    )
    const named = recipients.get(domain)
    return contacts.filter((user) => listed.has(user) || named?.has(user) === true)
  }

  async function sendTo(
    caller: UserCaller,
    devices: Devices,
    message: OtrMessage,
    conversationOf: (recipient: UserId) => ConversationId,
  ): Promise<Outcome> {
    if (devices.get(caller.user)?.has(message.sender) !== true) {
      throw new ApiError(conversationErrors.unknownClient)
    }
    const sender = { user: caller.user, client: message.sender }
    const { recipients, strategy } = message
    const comparison = compareRecipients(domain, sender, devices, recipients, strategy)
    const nowMs = clock.nowMs()
    if (!isEmpty(comparison.missing) || comparison.deliveries.length === 0) {
      return { comparison, timeMs: nowMs }
    }
    const data = message.data?.length ? { data: base64(message.data) } : {}
    const toRecipient = ({ user, client, text }: Delivery) => {
      const event = eventBody(
        domain,
        'conversation.otr-message-add',
        conversationOf(user),
        caller.user,
        { sender: message.sender, recipient: client, text: base64(text), ...data },
      )
      return { user, clients: [client], events: [event] }
    }
    const times = await push({
      requestId: ids.uuid(),
      recipients: comparison.deliveries.map(toRecipient),
      isTransient: message.transient,
      origin: { user: caller.user, connection: caller.connection },
      eventTimeMs: nowMs,
      priority: message.nativePriority ?? 'high',
    })
    return { comparison, timeMs: timeFor(caller.user, times, nowMs) }
  }

  const qualify = (message: UnqualifiedOtrMessage, query: MissingFilters): OtrMessage => ({
    ...message,
    recipients: new Map([[domain, message.recipients]]),
    strategy: strategyOf(domain, message.reportMissing, query),
  })

  const unqualify = ({ comparison, timeMs }: Outcome): ClientMismatch => ({
    time: formatTimestamp(timeMs),
    missing: devicesIn(comparison.missing, domain),
    redundant: devicesIn(comparison.redundant, domain),
    deleted: devicesIn(comparison.deleted, domain),
  })

  return {
    async sendMessage({ caller, params, body }) {
      requireLocal(domain, params.domain)
      const outcome = await send(caller, params.conversation, body)
      return { status: statusOf(outcome), body: sendingStatus(outcome) }
    },
    async sendUnqualifiedMessage({ caller, params, query, body }) {
      const outcome = await send(caller, params.conversation, qualify(body, query))
      return { status: statusOf(outcome), body: unqualify(outcome) }
    },
    async broadcastMessage({ caller, body }) {
      const outcome = await broadcast(caller, body)
      return { status: statusOf(outcome), body: sendingStatus(outcome) }
    },
    async broadcastUnqualifiedMessage({ caller, query, body }) {
      const outcome = await broadcast(caller, qualify(body, query))
      return { status: statusOf(outcome), body: unqualify(outcome) }
    },
  }
}

const statusOf = ({ comparison }: Outcome) => (isEmpty(comparison.missing) ? 201 : 412)

const sendingStatus = ({ comparison, timeMs }: Outcome): MessageSendingStatus => ({
  time: formatTimestamp(timeMs),
  missing: comparison.missing,
  redundant: comparison.redundant,
  deleted: comparison.deleted,
  failed_to_send: {},
  failed_to_confirm_clients: {},
})

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
