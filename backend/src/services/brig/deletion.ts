import type { Logger } from 'pino'
import type { Client } from '../../contract/endpoint.ts'
import { Unavailable } from '../../contract/error.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import type { inboxApi } from '../../contract/gundeck/internal.ts'
import type { Domain, UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Credentials } from './credentials.ts'
import type { Emails } from './emails.ts'
import type { UserEvents } from './events.ts'
import type { People } from './halves.ts'
import { keyOfEmail, keyOfUser } from './rules/code-key.ts'
import type { Sessions } from './sessions.ts'
import type { ClaimStore } from './store/claims.ts'
import type { CodeStore } from './store/codes.ts'
import type { DeletionStore } from './store/deletions.ts'
import type { User, UserStore } from './store/users.ts'

/**
 * Deleting an account touches everything that knows the user, in several services. The intent is
 * written first and taken away last; in between every step may be repeated. So a deletion that was
 * interrupted, or that met a service which is down, is finished by whoever sweeps next.
 */
export interface AccountDeletion {
  /** The user counts as deleted when this resolves; what is left to do then is done later. */
  deleteUser(user: User): Promise<void>
  /** A guest's account ends by itself. */
  scheduleEnd(user: UserId, atMs: number): Promise<void>
  /** Finishes what is due; returns how many users that were. */
  sweep(signal: AbortSignal): Promise<number>
}

const batchSize = 100

export function createAccountDeletion(deps: {
  domain: Domain
  users: UserStore
  deletions: DeletionStore
  sessions: Sessions
  credentials: Credentials
  codes: CodeStore
  emails: Emails
  handles: ClaimStore
  people: People
  events: UserEvents
  galley: Pick<Client<typeof galleyInternalApi>, 'removeUser'>
  gundeck: Pick<Client<typeof inboxApi>, 'closeInbox'>
  clock: Pick<Clock, 'nowMs'>
  log: Logger
}): AccountDeletion {
  const { domain, users, deletions, sessions, credentials, codes, emails, handles } = deps
  const { people, events, galley, gundeck, clock, log } = deps

  /** From here on nobody can log in, and e-mail address and handle are free for others. */
  async function markDeleted(id: UserId): Promise<User | undefined> {
    for (;;) {
      const user = await users.get(id)
      if (user === undefined || user.status === 'deleted') return user
      const marked = await users.update(user, { status: 'deleted' })
      if (marked !== undefined) return marked
    }
  }

  async function finish(id: UserId): Promise<void> {
    const user = await markDeleted(id)
    if (user !== undefined) {
      await sessions.revoke(id, () => true)
      const contacts = await people.listContacts(id)
      const event = { type: 'user.delete', id, qualified_id: { domain, id } } as const
      await events.publish([{ recipients: [id, ...contacts], event }])
      await galley.removeUser({ params: { user: id } })
      await people.forget(id)
      // The inbox after everything that could write to it.
      await gundeck.closeInbox({ params: { user: id } })
      await people.index(user)
      await forgetSecrets(user)
      await users.update(user, {
        name: 'default',
        accentId: 0,
        assets: [],
        picture: [],
        textStatus: undefined,
        handle: undefined,
        email: undefined,
        emailUnvalidated: undefined,
        isActivated: false,
      })
    }
    await deletions.remove(id)
  }

  async function forgetSecrets(user: User): Promise<void> {
    const { id, handle, email, emailUnvalidated } = user
    await credentials.forget(id)
    await codes.remove('password-reset', keyOfUser(id))
    await codes.remove('deletion', keyOfUser(id))
    for (const address of [email, emailUnvalidated]) {
      if (address === undefined) continue
      const key = keyOfEmail(address)
      const code = await codes.find('activation', key)
      if (code?.user === id) await codes.remove('activation', key)
      await emails.release(user, address)
    }
    if (handle !== undefined) await handles.release(handle, id)
  }

  return {
    async deleteUser({ id }) {
      await deletions.schedule(id, clock.nowMs())
      await markDeleted(id)
      try {
        await finish(id)
      } catch (err) {
        if (!(err instanceof Unavailable)) throw err
        log.warn({ user: id, err }, 'deletion of a user goes on later')
      }
    },

    scheduleEnd: (user, atMs) => deletions.schedule(user, atMs),

    async sweep(signal) {
      let finished = 0
      for (const user of await deletions.listDue(clock.nowMs(), batchSize)) {
        signal.throwIfAborted()
        try {
          await finish(user)
          finished += 1
        } catch (err) {
          log.warn({ user, err }, 'deletion of a user failed, to be tried again')
        }
      }
      return finished
    },
  }
}
