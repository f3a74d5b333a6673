import type { UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Presence, PresenceStore } from '../../ports/presence.ts'

/** Presences of this process, gone with it. */
export function memoryPresence(clock: Pick<Clock, 'monotonicMs'>): PresenceStore {
  const byUser = new Map<UserId, Map<string, Presence & { untilMs: number }>>()
  return {
    async add(presence, ttlSeconds) {
      let connections = byUser.get(presence.user)
      if (connections === undefined) {
        connections = new Map()
        byUser.set(presence.user, connections)
      }
      const untilMs = clock.monotonicMs() + ttlSeconds * 1000
      connections.set(presence.connection, { ...presence, untilMs })
    },
    async remove(user, connection, instance) {
      const connections = byUser.get(user)
      if (connections?.get(connection)?.instance !== instance) return
      connections.delete(connection)
      if (connections.size === 0) byUser.delete(user)
    },
    async list(users) {
      const nowMs = clock.monotonicMs()
      const live: Presence[] = []
      for (const user of users) {
        for (const [connection, { untilMs, ...presence }] of byUser.get(user) ?? []) {
          if (untilMs > nowMs) live.push(presence)
          else byUser.get(user)?.delete(connection)
        }
      }
      return live
    },
    async [Symbol.asyncDispose]() {
      byUser.clear()
    },
  }
}
