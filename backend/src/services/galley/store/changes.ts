import type { ConnectionId, ConversationId, UserId } from '../../../contract/ids.ts'
import { of, table, type Row, type WideColumnStore } from '../../../ports/wide-column.ts'
import type { EventBody } from '../rules/events.ts'
import type { Effect } from './conversations.ts'

/** Changes that were begun and not yet seen through; nearly always empty. */
const changes = table({
  name: 'galley_changes',
  partition: { conversation: of<ConversationId>()('uuid') },
  cluster: { change: 'uuid' },
  columns: { began: 'timestamp', content: 'text' },
  shape: 'worklist',
})

export const changeTables = [changes]

/** Who is told of a change. A push is stored once under its request id, however often it is sent. */
export type Announcement = { readonly requestId: string; readonly to: readonly UserId[] } & (
  | { readonly kind: 'event'; readonly event: EventBody }
  /** Each gets `conversation.create` with the members as that member sees them. */
  | { readonly kind: 'created' }
)

export interface Change {
  readonly id: string
  readonly conversation: ConversationId
  /** When it began, which is the time of its events. */
  readonly beganMs: number
  readonly origin?: { readonly user: UserId; readonly connection: ConnectionId }
  readonly effects: readonly Effect[]
  readonly announcements: readonly Announcement[]
}

export interface ChangeStore {
  add(change: Change): Promise<void>
  remove(change: Change): Promise<void>
  /** Of one conversation, the earliest first. */
  listOf(conversation: ConversationId): Promise<readonly Change[]>
  /** Conversations with a change that began before then. */
  scan(beforeMs: number): AsyncIterable<ConversationId>
}

export function changeStore(db: WideColumnStore): ChangeStore {
  return {
    async add({ id, conversation, beganMs, ...content }) {
      await db.put(changes, {
        conversation,
        change: id,
        began: beganMs,
        content: JSON.stringify(content),
      })
    },
    remove: ({ conversation, id }) => db.remove(changes, { conversation, change: id }),
    async listOf(conversation) {
      const { rows } = await db.list(changes, { conversation })
      return rows.map(fromRow).sort((left, right) => left.beganMs - right.beganMs)
    },
    async *scan(beforeMs) {
      let page: string | undefined
      do {
        const { rows, next } = await db.scan(changes, { page })
        for (const { conversation, began } of rows) if (began <= beforeMs) yield conversation
        page = next
      } while (page !== undefined)
    },
  }
}

function fromRow({ change, conversation, began, content }: Row<typeof changes>): Change {
  const rest = JSON.parse(content) as Omit<Change, 'id' | 'conversation' | 'beganMs'>
  return { id: change, conversation, beganMs: began, ...rest }
}
