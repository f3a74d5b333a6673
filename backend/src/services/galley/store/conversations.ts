import type { Access, AccessRole } from '../../../contract/galley/conversation-fields.ts'
import type {
  CellsState,
  ConversationRole,
  ConversationType,
} from '../../../contract/galley/conversation-fields.ts'
import type { ConversationId, UserId } from '../../../contract/ids.ts'
import {
  of,
  put,
  remove,
  table,
  update,
  type Operation,
  type Row,
  type WideColumnStore,
  type WriteOptions,
} from '../../../ports/wide-column.ts'
import type {
  Room,
  StoredConversation,
  StoredMember,
  StoredPreferences,
} from '../rules/stored-conversation.ts'
import { removeCode } from './codes.ts'

const conversations = table({
  name: 'galley_conversations',
  partition: { conversation: of<ConversationId>()('uuid') },
  cluster: {},
  columns: {
    type: of<ConversationType>()('int'),
    creator: of<UserId>()('uuid'),
    /** Names with commas between. */
    access: 'text',
    access_roles: 'text',
    name: 'text?',
    message_timer: 'bigint?',
    receipt_mode: 'int?',
    parent: of<ConversationId>()('uuid?'),
    cells_state: of<CellsState>()('text'),
  },
})

/** Who is in; the truth. */
export const members = table({
  name: 'galley_members',
  partition: { conversation: of<ConversationId>()('uuid') },
  cluster: { user: of<UserId>()('uuid') },
  // A row without `joined` does not exist: a new role for somebody who leaves at the same moment
  // does not bring them back.
  columns: { role: of<ConversationRole>()('text'), joined: 'timestamp' },
})

/** The same by user, for lists; always written together with `members`. */
export const userConversations = table({
  name: 'galley_user_conversations',
  partition: { user: of<UserId>()('uuid') },
  cluster: { conversation: of<ConversationId>()('uuid') },
  columns: { joined: 'timestamp' },
})

/** Apart from `members`, because sends read those. */
const preferences = table({
  name: 'galley_member_preferences',
  partition: { user: of<UserId>()('uuid') },
  cluster: { conversation: of<ConversationId>()('uuid') },
  columns: {
    muted_status: 'int?',
    muted_ref: 'text?',
    is_archived: 'boolean?',
    archived_ref: 'text?',
    is_hidden: 'boolean?',
    hidden_ref: 'text?',
  },
})

export const conversationTables = [conversations, members, userConversations, preferences]

/** What can be changed about a conversation once it exists. `null` takes a value away. */
export interface ConversationChanges {
  readonly type?: ConversationType
  readonly name?: string
  readonly messageTimerMs?: number | null
  readonly receiptMode?: number
  readonly access?: readonly Access[]
  readonly accessRoles?: readonly AccessRole[]
}

/** A part of a change; done twice it is done once. */
export type Effect =
  | { readonly kind: 'create'; readonly conversation: StoredConversation }
  | { readonly kind: 'change'; readonly changes: ConversationChanges }
  | { readonly kind: 'join'; readonly members: readonly StoredMember[] }
  | { readonly kind: 'leave'; readonly users: readonly UserId[] }
  | { readonly kind: 'role'; readonly member: StoredMember }
  | { readonly kind: 'code-removed'; readonly key: string; readonly code: string }
  | {
      readonly kind: 'preferences'
      readonly user: UserId
      readonly preferences: StoredPreferences
    }

export interface EffectTime {
  /** When members joined. */
  readonly atMs: number
  /**
   * Of the first effect; the next ones follow by a microsecond each. It rises from change to change,
   * so that effects which are done again undo nothing that came after them.
   */
  readonly writtenAtMicros: bigint
}

export interface ConversationStore {
  find(conversation: ConversationId): Promise<Room | undefined>
  /** All that a send needs. None where there is no conversation. */
  membersOf(conversation: ConversationId): Promise<readonly StoredMember[]>
  listOf(
    user: UserId,
    after: ConversationId | undefined,
    limit: number,
  ): Promise<readonly ConversationId[]>
  preferencesOf(user: UserId, conversation: ConversationId): Promise<StoredPreferences>
  /** Does the effects in their order; see `changeLog` for what makes them all happen. */
  apply(conversation: ConversationId, effects: readonly Effect[], time: EffectTime): Promise<void>
}

/** Batches stay small: a store may refuse large ones, and each spans several partitions. */
const membersPerBatch = 50

export function conversationStore(db: WideColumnStore): ConversationStore {
  async function membersOf(conversation: ConversationId): Promise<StoredMember[]> {
    const found: StoredMember[] = []
    let page: string | undefined
    do {
      const { rows, next } = await db.list(members, { conversation }, { page })
      for (const { user, role } of rows) found.push({ user, role })
      page = next
    } while (page !== undefined)
    return found
  }

  return {
    async find(id) {
      const [row, found] = await Promise.all([
        db.get(conversations, { conversation: id }),
        membersOf(id),
      ])
      return row && { conversation: fromRow(row), members: found }
    },

    membersOf,

    async listOf(user, after, limit) {
      const bound = after === undefined ? {} : { after }
      const { rows } = await db.list(userConversations, { user }, { ...bound, limit })
      return rows.map(({ conversation }) => conversation)
    },

    async preferencesOf(user, conversation) {
      const row = await db.get(preferences, { user, conversation })
      return {
        mutedStatus: row?.muted_status,
        mutedRef: row?.muted_ref,
        isArchived: row?.is_archived,
        archivedRef: row?.archived_ref,
        isHidden: row?.is_hidden,
        hiddenRef: row?.hidden_ref,
      }
    },

    async apply(conversation, effects, { atMs, writtenAtMicros }) {
      for (const [index, effect] of effects.entries()) {
        const options = { writtenAtMicros: writtenAtMicros + BigInt(index) }
        if (effect.kind === 'code-removed') {
          await removeCode(db, effect)
          continue
        }
        for (const batch of operationsOf(conversation, effect, atMs, options)) {
          await db.batch(batch)
        }
      }
    },
  }
}

function operationsOf(
  conversation: ConversationId,
  effect: Exclude<Effect, { kind: 'code-removed' }>,
  atMs: number,
  options: WriteOptions,
): Operation[][] {
  switch (effect.kind) {
    case 'create':
      return [[put(conversations, toRow(effect.conversation), options)]]
    case 'change':
      return [[update(conversations, { conversation }, toColumns(effect.changes), options)]]
    case 'join':
      return chunked(effect.members, ({ user, role }) => [
        put(members, { conversation, user, role, joined: atMs }, options),
        put(userConversations, { user, conversation, joined: atMs }, options),
      ])
    case 'leave':
      return chunked(effect.users, (user) => [
        remove(members, { conversation, user }, options),
        remove(userConversations, { user, conversation }, options),
        remove(preferences, { user, conversation }, options),
      ])
    case 'role': {
      const { user, role } = effect.member
      return [[update(members, { conversation, user }, { role }, options)]]
    }
    case 'preferences': {
      const given = effect.preferences
      const columns = {
        muted_status: given.mutedStatus,
        muted_ref: given.mutedRef,
        is_archived: given.isArchived,
        archived_ref: given.archivedRef,
        is_hidden: given.isHidden,
        hidden_ref: given.hiddenRef,
      }
      // An `undefined` would remove a value that the member did not mention.
      const mentioned = Object.entries(columns).filter(([, value]) => value !== undefined)
      const changes: typeof columns = Object.fromEntries(mentioned) as typeof columns
      return [[update(preferences, { user: effect.user, conversation }, changes, options)]]
    }
  }
}

function chunked<T>(items: readonly T[], toOperations: (item: T) => Operation[]): Operation[][] {
  const batches: Operation[][] = []
  for (let at = 0; at < items.length; at += membersPerBatch) {
    batches.push(items.slice(at, at + membersPerBatch).flatMap(toOperations))
  }
  return batches
}

function fromRow(row: Row<typeof conversations>): StoredConversation {
  return {
    id: row.conversation,
    type: row.type,
    creator: row.creator,
    access: namesIn<Access>(row.access),
    accessRoles: namesIn<AccessRole>(row.access_roles),
    name: row.name,
    messageTimerMs: row.message_timer === undefined ? undefined : Number(row.message_timer),
    receiptMode: row.receipt_mode,
    parent: row.parent,
    cellsState: row.cells_state,
  }
}

function toRow(conversation: StoredConversation): Row<typeof conversations> {
  return {
    conversation: conversation.id,
    type: conversation.type,
    creator: conversation.creator,
    access: conversation.access.join(),
    access_roles: conversation.accessRoles.join(),
    name: conversation.name,
    message_timer: toBigint(conversation.messageTimerMs),
    receipt_mode: conversation.receiptMode,
    parent: conversation.parent,
    cells_state: conversation.cellsState,
  }
}

function toColumns(changes: ConversationChanges) {
  const { type, name, messageTimerMs, receiptMode, access, accessRoles } = changes
  return {
    ...(type !== undefined && { type }),
    ...(name !== undefined && { name }),
    ...(messageTimerMs !== undefined && { message_timer: toBigint(messageTimerMs ?? undefined) }),
    ...(receiptMode !== undefined && { receipt_mode: receiptMode }),
    ...(access !== undefined && { access: access.join() }),
    ...(accessRoles !== undefined && { access_roles: accessRoles.join() }),
  }
}

const toBigint = (value: number | undefined): bigint | undefined =>
  value === undefined ? undefined : BigInt(value)
const namesIn = <Name extends string>(text: string): Name[] =>
  text === '' ? [] : (text.split(',') as Name[])
