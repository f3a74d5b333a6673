import type { ConnectionStatus } from '../../../contract/brig/connections.ts'
import type { ConversationId, UserId } from '../../../contract/ids.ts'
import {
  of,
  put,
  remove,
  table,
  type Row,
  type WideColumnStore,
} from '../../../ports/wide-column.ts'
import type { ConnectionEffect, ConnectionStep } from '../rules/connection.ts'

/**
 * Both sides of a connection in one row, so that one conditional write moves both. `low` is the user
 * with the lower id.
 */
export const connectionsTable = table({
  name: 'brig_connections',
  partition: { low: of<UserId>()('uuid'), high: of<UserId>()('uuid') },
  cluster: {},
  columns: {
    lowStatus: of<ConnectionStatus>()('text'),
    highStatus: of<ConnectionStatus>()('text'),
    lowChangedMs: 'timestamp',
    highChangedMs: 'timestamp',
    conversation: of<ConversationId>()('uuid?'),
    /** Rises with every change. */
    revision: 'int',
    /** Set until galley and the devices know of the change. */
    effect: of<ConnectionEffect>()('text?'),
    /** Who made that change. */
    actor: of<UserId>()('uuid?'),
    tellsPeer: 'boolean?',
  },
  writes: 'conditional',
})

/** With whom a user has connections; what they are stands in the other table. */
export const connectionListsTable = table({
  name: 'brig_connection_lists',
  partition: { user: of<UserId>()('uuid') },
  cluster: { other: of<UserId>()('uuid') },
  columns: { addedMs: 'timestamp' },
})

interface Side {
  user: UserId
  status: ConnectionStatus
  changedMs: number
}

/** A connection as one of the two sees it. */
export interface UserConnection {
  own: Side
  peer: Side
  conversation: ConversationId | undefined
  revision: number
  /** What galley and the devices have not been told yet. */
  unfinished: { effect: ConnectionEffect; actor: UserId; tellsPeer: boolean } | undefined
}

export interface ConnectionStore {
  /** `isSerial` sees every step that was taken before. */
  get(
    user: UserId,
    other: UserId,
    options?: { isSerial: boolean },
  ): Promise<UserConnection | undefined>
  /**
   * Takes the step, leaving its effect to be done. `seen` is what it follows from, undefined when
   * there was no connection. Undefined when that is no longer so.
   */
  take(
    user: UserId,
    other: UserId,
    seen: UserConnection | undefined,
    step: ConnectionStep,
    nowMs: number,
  ): Promise<UserConnection | undefined>
  /** Notes that the effect is done; does nothing when somebody else did so and went on. */
  finish(seen: UserConnection, conversation: ConversationId | undefined): Promise<void>
  /** In the order of the others' ids; `after` is the last one of the page before. */
  list(
    user: UserId,
    options: { after?: UserId | undefined; limit: number },
  ): Promise<{ connections: UserConnection[]; last: UserId | undefined; hasMore: boolean }>
  /** Those of the user that have one of these statuses on the user's side. */
  listByStatus(user: UserId, statuses: readonly ConnectionStatus[]): Promise<UserConnection[]>
  /** False when it changed since. */
  remove(seen: UserConnection): Promise<boolean>
  /** Removes what is left of the user's list, after all connections. */
  removeList(user: UserId): Promise<void>
}

/** Connections read at once. */
const chunkSize = 500

export function connectionStore(db: WideColumnStore): ConnectionStore {
  async function get(user: UserId, other: UserId, options: { isSerial?: boolean } = {}) {
    const row = await db.get(connectionsTable, keyOf(user, other), options)
    return row && toConnection(row, user)
  }

  async function list(user: UserId, options: { after?: UserId | undefined; limit: number }) {
    const { after, limit } = options
    const { rows } = await db.list(
      connectionListsTable,
      { user },
      { limit: limit + 1, ...(after !== undefined && { after }) },
    )
    const others = rows.slice(0, limit).map(({ other }) => other)
    const found = await Promise.all(others.map((other) => get(user, other)))
    return {
      // An attempt that was cut off leaves an entry without a connection.
      connections: found.filter((connection) => connection !== undefined),
      last: others.at(-1),
      hasMore: rows.length > limit,
    }
  }

  return {
    get,
    list,
    async take(user, other, seen, step, nowMs) {
      const [isLow, key] = [user < other, keyOf(user, other)]
      const next: UserConnection = {
        own: changeSide(seen?.own, user, step.own, nowMs),
        peer: changeSide(seen?.peer, other, step.peer, nowMs),
        conversation: seen?.conversation,
        revision: (seen?.revision ?? 0) + 1,
        unfinished: { effect: step.effect, actor: user, tellsPeer: step.tellsPeer },
      }
      const [low, high] = isLow ? [next.own, next.peer] : [next.peer, next.own]
      const columns = {
        lowStatus: low.status,
        lowChangedMs: low.changedMs,
        highStatus: high.status,
        highChangedMs: high.changedMs,
        conversation: next.conversation,
        revision: next.revision,
        ...next.unfinished,
      }
      if (seen !== undefined) {
        const expected = { revision: seen.revision }
        const isTaken = await db.updateIf(connectionsTable, key, expected, columns)
        return isTaken ? next : undefined
      }
      // First, so that there is no connection that the lists do not name.
      await db.batch([
        put(connectionListsTable, { user, other, addedMs: nowMs }),
        put(connectionListsTable, { user: other, other: user, addedMs: nowMs }),
      ])
      const isTaken = await db.putIfAbsent(connectionsTable, { ...key, ...columns })
      return isTaken ? next : undefined
    },
    async finish(seen, conversation) {
      await db.updateIf(
        connectionsTable,
        keyOf(seen.own.user, seen.peer.user),
        { revision: seen.revision },
        {
          revision: seen.revision + 1,
          conversation,
          effect: undefined,
          actor: undefined,
          tellsPeer: undefined,
        },
      )
    },
    async listByStatus(user, statuses) {
      const found: UserConnection[] = []
      for (let after: UserId | undefined; ;) {
        const page = await list(user, { after, limit: chunkSize })
        found.push(...page.connections.filter(({ own }) => statuses.includes(own.status)))
        if (!page.hasMore) return found
        after = page.last
      }
    },
    async remove(seen) {
      const [own, peer] = [seen.own.user, seen.peer.user]
      const expected = { revision: seen.revision }
      if (!(await db.removeIf(connectionsTable, keyOf(own, peer), expected))) return false
      await db.batch([
        remove(connectionListsTable, { user: own, other: peer }),
        remove(connectionListsTable, { user: peer, other: own }),
      ])
      return true
    },
    removeList: (user) => db.removeRange(connectionListsTable, { user }),
  }
}

const keyOf = (user: UserId, other: UserId) =>
  user < other ? { low: user, high: other } : { low: other, high: user }

function changeSide(
  side: Side | undefined,
  user: UserId,
  status: ConnectionStatus,
  nowMs: number,
): Side {
  return side?.status === status ? side : { user, status, changedMs: nowMs }
}

function toConnection(row: Row<typeof connectionsTable>, user: UserId): UserConnection {
  const low = { user: row.low, status: row.lowStatus, changedMs: row.lowChangedMs }
  const high = { user: row.high, status: row.highStatus, changedMs: row.highChangedMs }
  const { conversation, revision, effect, actor, tellsPeer = false } = row
  const isUnfinished = effect !== undefined && actor !== undefined
  return {
    ...(user === row.low ? { own: low, peer: high } : { own: high, peer: low }),
    conversation,
    revision,
    unfinished: isUnfinished ? { effect, actor, tellsPeer } : undefined,
  }
}
