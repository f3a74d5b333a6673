import type { UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Presence, PresenceStore } from '../../ports/presence.ts'

interface Noted {
  readonly presence: Presence
  readonly untilMs: number
}

/** Presences of this process, gone with it. */
export function memoryPresence(clock: Pick<Clock, 'monotonicMs'>): PresenceStore {
  // Most users have one socket: a list costs 40 bytes where a map would cost 400.
  const byUser = new Map<UserId, readonly Noted[]>()

  const others = (user: UserId, isMeant: (noted: Noted) => boolean): readonly Noted[] =>
    byUser.get(user)?.filter((noted) => !isMeant(noted)) ?? []

  function set(user: UserId, list: readonly Noted[]): void {
    if (list.length === 0) byUser.delete(user)
    else byUser.set(user, list)
  }

  return {
    async add(presence, ttlSeconds) {
      const { user, connection } = presence
      const untilMs = clock.monotonicMs() + ttlSeconds * 1000
      const kept = others(user, (noted) => noted.presence.connection === connection)
      set(user, [...kept, { presence, untilMs }])
    },
    async remove(user, connection, instance) {
      set(
        user,
        others(
          user,
          ({ presence }) => presence.connection === connection && presence.instance === instance,
        ),
      )
    },
    async list(users) {
      const nowMs = clock.monotonicMs()
      return users.flatMap((user) => {
        set(
          user,
          others(user, ({ untilMs }) => untilMs <= nowMs),
        )
        return (byUser.get(user) ?? []).map(({ presence }) => presence)
      })
    },
    async [Symbol.asyncDispose]() {
      byUser.clear()
    },
  }
}
