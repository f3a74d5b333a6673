import type { ClientId, UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { Row, WideColumnStore } from '../../../ports/wide-column.ts'

export type CookieType = 'session' | 'persistent'

/** The sessions of a user: few, because more than a limit of each type are not kept. */
export const cookiesTable = table({
  name: 'brig_cookies',
  partition: { user: of<UserId>()('uuid') },
  cluster: { id: 'bigint' },
  columns: {
    type: of<CookieType>()('text'),
    label: 'text?',
    client: of<ClientId>()('text?'),
    successor: 'bigint?',
    createdMs: 'timestamp',
    expiresMs: 'timestamp',
    tokenExpiresMs: 'timestamp',
  },
  writes: 'conditional',
})

export interface Cookie {
  user: UserId
  /** A random uint32; also in the token. */
  id: number
  type: CookieType
  label?: string | undefined
  /** The device that the session is bound to. */
  client?: ClientId | undefined
  /** The cookie that took its place. */
  successor?: number | undefined
  createdMs: number
  /** From here on it counts no more. */
  expiresMs: number
  /** What its token says; later than `expiresMs` once it was superseded. Whole seconds. */
  tokenExpiresMs: number
}

export interface CookieStore {
  /** False when the id is in use. */
  create(cookie: Cookie): Promise<boolean>
  get(user: UserId, id: number): Promise<Cookie | undefined>
  list(user: UserId): Promise<Cookie[]>
  /** False when the cookie is gone, or another one took its place first. */
  supersede(cookie: Cookie, by: { successor: number; expiresMs: number }): Promise<boolean>
  remove(user: UserId, ids: readonly number[]): Promise<void>
}

export function cookieStore(db: WideColumnStore): CookieStore {
  return {
    create: (cookie) => db.putIfAbsent(cookiesTable, toRow(cookie)),
    async get(user, id) {
      const row = await db.get(cookiesTable, { user, id: BigInt(id) })
      return row && toCookie(row)
    },
    async list(user) {
      const { rows } = await db.list(cookiesTable, { user })
      return rows.map(toCookie)
    },
    supersede({ user, id, successor }, by) {
      const expected = { successor: successor === undefined ? undefined : BigInt(successor) }
      const changes = { successor: BigInt(by.successor), expiresMs: by.expiresMs }
      return db.updateIf(cookiesTable, { user, id: BigInt(id) }, expected, changes)
    },
    async remove(user, ids) {
      await Promise.all(ids.map((id) => db.removeIf(cookiesTable, { user, id: BigInt(id) }, {})))
    },
  }
}

function toRow(cookie: Cookie): Row<typeof cookiesTable> {
  const { id, successor, ...others } = cookie
  return {
    ...others,
    id: BigInt(id),
    successor: successor === undefined ? undefined : BigInt(successor),
  }
}

function toCookie(row: Row<typeof cookiesTable>): Cookie {
  const { id, successor, ...others } = row
  return {
    ...others,
    id: Number(id),
    successor: successor === undefined ? undefined : Number(successor),
  }
}
