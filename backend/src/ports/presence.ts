import type { ClientId, ConnectionId, UserId } from '../contract/ids.ts'

/**
 * Who has a live socket, as a hint: native push and the operator's view read it, delivery does not.
 * Everything here may vanish at any time.
 */
export interface Presence {
  user: UserId
  connection: ConnectionId
  client?: ClientId
  /** The cannon that holds the socket. */
  instance: string
  sinceMs: number
}

export interface PresenceStore extends AsyncDisposable {
  /** Adds or refreshes; gone after `ttlSeconds` unless added again. */
  add(presence: Presence, ttlSeconds: number): Promise<void>
  /** Removes only what this instance added. */
  remove(user: UserId, connection: ConnectionId, instance: string): Promise<void>
  list(users: readonly UserId[]): Promise<Presence[]>
}
