import { randomUUID } from 'node:crypto'

import type { Person, Room } from '../support/wire/cast.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'

// How scenarios write down requests and replies of the API.

/** An e-mail address of nobody yet. */
export const newAddress = (name: string): string => `${name}.${randomUUID()}@example.org`

export const roomPath = ({ id: { domain, id } }: Pick<Room, 'id'>): string =>
  `/conversations/${domain}/${id}`

const userPath = (prefix: string, { domain, id }: QualifiedId): string =>
  `${prefix}/${domain}/${id}`
export const profilePath = ({ user }: Pick<Person, 'user'>): string => userPath('/users', user)
export const connectionPath = ({ user }: Pick<Person, 'user'>): string =>
  userPath('/connections', user)
export const memberPath = (room: Pick<Room, 'id'>, { user }: Pick<Person, 'user'>): string =>
  userPath(`${roomPath(room)}/members`, user)

/** What a refusal looks like, for `toMatchObject`. */
export const refused = (status: number, label: string): object => ({
  status,
  json: { code: status, label },
})
