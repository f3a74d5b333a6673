import type { ClientId, UserId } from '../../contract/ids.ts'
import type { User } from './store/users.ts'

/*
 * Brig is two halves that need each other: accounts (who you are, sessions, mails) and people
 * (devices, connections, search, properties). This is all that one asks of the other; `index.ts`
 * joins them.
 */

/** What the people half asks of the accounts. */
export interface Accounts {
  /**
   * `none`: the user has no password, so none can be asked for. Takes part in the limit on password
   * checks of the user, and rejects with `ApiError` 429 `too-many-requests` beyond it.
   */
  checkPassword(
    user: UserId,
    password: string | undefined,
  ): Promise<'right' | 'wrong' | 'missing' | 'none'>
  /** Ends the sessions that were started under these labels. */
  revokeCookies(user: UserId, labels: readonly string[]): Promise<void>
  /** Tells the user by mail of a device after the first. Never rejects: the device is there. */
  mailNewDevice(
    user: User,
    device: { model?: string | undefined; label?: string | undefined; createdMs: number },
  ): Promise<void>
}

/** What the accounts ask of the people half. Removals may be repeated. */
export interface People {
  hasClient(user: UserId, client: ClientId): Promise<boolean>
  /** Accepted connections: those who see changes of the user. */
  listContacts(user: UserId): Promise<UserId[]>
  /** Brings search up to date with the user; takes deleted ones out. Never rejects. */
  index(user: User): Promise<void>
  /**
   * Removes devices, connections and properties of a deleted user. Those who had not yet answered
   * the user's request for a connection learn that it is cancelled; there are no other events.
   */
  forget(user: UserId): Promise<void>
}
