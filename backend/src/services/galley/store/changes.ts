import { UnknownOutcome } from '../../../contract/error.ts'
import type { ConnectionId, ConversationId, UserId } from '../../../contract/ids.ts'
import {
  of,
  table,
  type ReadOptions,
  type Row,
  type WideColumnStore,
} from '../../../ports/wide-column.ts'
import type { EventBody } from '../rules/events.ts'
import type { Effect } from './conversations.ts'

/** What the next change of a conversation follows: one row each, which stays. */
const lastChanges = table({
  name: 'galley_last_changes',
  partition: { conversation: of<ConversationId>()('uuid') },
  cluster: {},
  columns: {
    number: 'int',
    change: 'uuid',
    began: 'timestamp',
    written_micros: 'bigint',
    /** Until it is seen through. */
    content: 'text?',
  },
  writes: 'conditional',
})

/** Where to look for changes that were begun and not yet seen through; nearly always empty. */
const unfinishedChanges = table({
  name: 'galley_unfinished_changes',
  partition: { conversation: of<ConversationId>()('uuid') },
  cluster: { number: 'int' },
  columns: { began: 'timestamp' },
  shape: 'worklist',
})

export const changeTables = [lastChanges, unfinishedChanges]

/** Who is told of a change. A push is stored once under its request id, however often it is sent. */
export type Announcement = { readonly requestId: string; readonly to: readonly UserId[] } & (
  | { readonly kind: 'event'; readonly event: EventBody }
  /** Each gets `conversation.create` with the members as that member sees them. */
  | { readonly kind: 'created' }
)

export interface Change {
  readonly id: string
  readonly conversation: ConversationId
  /** Its place among the changes of the conversation, from 1. */
  readonly number: number
  /** When it began, which is the time of its events. */
  readonly beganMs: number
  /** Of its effects, above those of all earlier changes, whatever the clocks say. */
  readonly writtenAtMicros: bigint
  readonly origin?: { readonly user: UserId; readonly connection: ConnectionId }
  readonly effects: readonly Effect[]
  readonly announcements: readonly Announcement[]
}

/** Of a conversation that never changed the number is 0. */
export interface LastChange {
  readonly number: number
  readonly writtenAtMicros: bigint
  /** Begun, and not known to be seen through. */
  readonly unfinished?: Change
}

/** Says that a change of this number may be unfinished. */
export interface Mark {
  readonly conversation: ConversationId
  readonly number: number
  readonly beganMs: number
}

export interface ChangeStore {
  lastOf(conversation: ConversationId, options?: ReadOptions): Promise<LastChange>
  /**
   * Whether the change is now the last one. Of all that would follow the same one at most one is,
   * and none is while that one is unfinished.
   */
  begin(change: Change, last: LastChange): Promise<boolean>
  isUnfinished(change: Change): Promise<boolean>
  /** May come again, and after later changes. */
  end(change: Change): Promise<void>
  /** Of changes that began before then. Some are of changes that never began, or are finished. */
  scan(beforeMs: number): AsyncIterable<Mark>
  /** Once no change of that number is unfinished, or can begin. */
  unmark(mark: Mark): Promise<void>
}

export function changeStore(db: WideColumnStore): ChangeStore {
  const rowOf = (conversation: ConversationId, options?: ReadOptions) =>
    db.get(lastChanges, { conversation }, options)

  async function take(change: Change, last: LastChange): Promise<boolean> {
    const row = toRow(change)
    if (last.number === 0) return db.putIfAbsent(lastChanges, row)
    const { conversation, ...columns } = row
    const expected = { number: last.number, content: undefined }
    return db.updateIf(lastChanges, { conversation }, expected, columns)
  }

  // Several processes may mark the same number. Times of their own, not of this process's clock,
  // make a removal cover the mark that it is about.
  const unmark = ({ conversation, number, beganMs }: Mark): Promise<void> =>
    db.remove(
      unfinishedChanges,
      { conversation, number },
      { writtenAtMicros: BigInt(beganMs) * 1000n + 1n },
    )

  return {
    async lastOf(conversation, options) {
      const row = await rowOf(conversation, options)
      if (!row) return { number: 0, writtenAtMicros: 0n }
      const unfinished = fromRow(row)
      const { number, written_micros: writtenAtMicros } = row
      return { number, writtenAtMicros, ...(unfinished && { unfinished }) }
    },

    async begin(change, last) {
      const { id, conversation, number, beganMs } = change
      // First: a change that nobody finds would wait for the next one.
      await db.put(
        unfinishedChanges,
        { conversation, number, began: beganMs },
        { writtenAtMicros: BigInt(beganMs) * 1000n },
      )
      try {
        return await take(change, last)
      } catch (err) {
        if (!(err instanceof UnknownOutcome)) throw err
        const now = await rowOf(conversation, { isSerial: true })
        if (now?.change === id) return true
        if (now === undefined || now.number <= number) return false
        // It may have been this one that others finished and followed.
        throw err
      }
    },

    async isUnfinished({ conversation, id }) {
      const row = await rowOf(conversation)
      return row?.change === id && row.content !== undefined
    },

    async end(change) {
      const { conversation, id } = change
      try {
        await db.updateIf(lastChanges, { conversation }, { change: id }, { content: undefined })
      } catch (err) {
        if (!(err instanceof UnknownOutcome)) throw err
        // Several who see it through end it at once, and may not hear that it is ended.
        const now = await rowOf(conversation, { isSerial: true })
        if (now?.change === id && now.content !== undefined) throw err
      }
      await unmark(change)
    },

    async *scan(beforeMs) {
      let page: string | undefined
      do {
        const { rows, next } = await db.scan(unfinishedChanges, { page })
        for (const { conversation, number, began } of rows) {
          if (began <= beforeMs) yield { conversation, number, beganMs: began }
        }
        page = next
      } while (page !== undefined)
    },

    unmark,
  }
}

type Content = Pick<Change, 'origin' | 'effects' | 'announcements'>

function toRow(change: Change): Row<typeof lastChanges> {
  const { id, conversation, number, beganMs, writtenAtMicros, ...content } = change
  return {
    conversation,
    number,
    change: id,
    began: beganMs,
    written_micros: writtenAtMicros,
    content: JSON.stringify(content satisfies Content),
  }
}

function fromRow(row: Row<typeof lastChanges>): Change | undefined {
  if (row.content === undefined) return undefined
  const content = JSON.parse(row.content) as Content
  return {
    id: row.change,
    conversation: row.conversation,
    number: row.number,
    beganMs: row.began,
    writtenAtMicros: row.written_micros,
    ...content,
  }
}
