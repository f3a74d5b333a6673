import type { UserEvent } from '../../contract/events/user.ts'
import type { ConnectionId } from '../../contract/ids.ts'
import type { UserEvents } from './events.ts'
import type { People } from './halves.ts'
import type { User } from './store/users.ts'

type UserUpdate = Omit<Extract<UserEvent, { type: 'user.update' }>['user'], 'id' | 'sso_id_deleted'>

/**
 * Tells the user's own devices and accepted contacts what changed, and search what is there now.
 * Resolves when the events are durable.
 */
export type Announce = (user: User, changes: UserUpdate, connection: ConnectionId) => Promise<void>

export function createAnnounce(deps: {
  events: UserEvents
  people: Pick<People, 'listContacts' | 'index'>
}): Announce {
  const { events, people } = deps
  return async (user, changes, connection) => {
    const contacts = await people.listContacts(user.id)
    await events.publish([
      {
        recipients: [user.id, ...contacts],
        event: { type: 'user.update', user: { id: user.id, ...changes, sso_id_deleted: false } },
        origin: { user: user.id, connection },
      },
    ])
    await people.index(user)
  }
}
