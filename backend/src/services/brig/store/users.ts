import type {
  AccountStatus,
  BaseProtocol,
  Email,
  Handle,
  Locale,
  ManagedBy,
  Picture,
  UserAsset,
  UserType,
} from '../../../contract/brig/user-fields.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { TeamId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { Changes, Row, WideColumnStore } from '../../../ports/wide-column.ts'

/** One row per user, for ever: ids of deleted users stay known. */
export const usersTable = table({
  name: 'brig_users',
  partition: { id: of<UserId>()('uuid') },
  cluster: {},
  columns: {
    name: 'text',
    accentId: 'int',
    /** JSON. */
    assets: 'text',
    /** JSON. */
    picture: 'text',
    textStatus: 'text?',
    locale: of<Locale>()('text'),
    handle: of<Handle>()('text?'),
    email: of<Email>()('text?'),
    emailUnvalidated: of<Email>()('text?'),
    status: of<AccountStatus>()('text'),
    isActivated: 'boolean',
    team: of<TeamId>()('uuid?'),
    managedBy: of<ManagedBy>()('text'),
    /** JSON. */
    supportedProtocols: 'text',
    type: of<UserType>()('text'),
    isSearchable: 'boolean',
    expiresMs: 'timestamp?',
    createdMs: 'timestamp',
    changedMs: 'timestamp',
  },
  // A plain write that races with a deletion would bring half of the user back.
  writes: 'conditional',
})

export interface User {
  id: UserId
  name: string
  accentId: number
  assets: UserAsset[]
  picture: Picture
  textStatus?: string | undefined
  locale: Locale
  /** Claimed in the table of handles; that table decides. */
  handle?: Handle | undefined
  /** Verified: the user has shown that mails there are read. */
  email?: Email | undefined
  /** Waits for the code that was sent there. */
  emailUnvalidated?: Email | undefined
  status: AccountStatus
  /** False until an e-mail address was verified; guests without one are activated from the start. */
  isActivated: boolean
  team?: TeamId | undefined
  managedBy: ManagedBy
  supportedProtocols: BaseProtocol[]
  type: UserType
  /** Whether search by name finds the user. */
  isSearchable: boolean
  /** When a guest's account ends. */
  expiresMs?: number | undefined
  createdMs: number
  /** Rises with every change; search documents carry it as their version. */
  changedMs: number
}

export type UserChanges = Partial<Omit<User, 'id' | 'createdMs' | 'changedMs'>>

export interface UserStore {
  /** False when the id is taken. */
  create(user: Omit<User, 'changedMs'>): Promise<boolean>
  /** Deleted users are found too: look at `status`. */
  get(user: UserId): Promise<User | undefined>
  /** In the order asked for; unknown ids are left out, repeated ones found once. */
  getMany(users: readonly UserId[]): Promise<User[]>
  /**
   * Changes the user and returns the result. Undefined when the status, or one of the fields named
   * in `unchanged`, is no longer as `seen`: a deletion that comes between is never undone. A field
   * that is given as `undefined` is removed.
   */
  update(
    seen: User,
    changes: UserChanges,
    unchanged?: readonly (keyof UserChanges)[],
  ): Promise<User | undefined>
  /** All users, page by page: for jobs. */
  scan(page?: string): Promise<{ users: User[]; next?: string }>
}

/** Racing changes of one user are rare; so many in a row mean that something is wrong. */
const maxAttempts = 10

export function userStore(db: WideColumnStore, clock: Pick<Clock, 'nowMs'>): UserStore {
  async function read(id: UserId, options: { isSerial?: boolean } = {}) {
    const row = await db.get(usersTable, { id }, options)
    return row && toUser(row)
  }

  return {
    create(user) {
      const { id, createdMs, ...fields } = user
      const row = { id, createdMs, changedMs: createdMs, ...toColumns(fields) }
      return db.putIfAbsent(usersTable, row as Row<typeof usersTable>)
    },
    get: (user) => read(user),
    async getMany(users) {
      const ids = [...new Set(users)].map((id) => ({ id }))
      return (await db.listEach(usersTable, ids)).flat().map((row) => toUser(row))
    },
    async update(seen, changes, unchanged = []) {
      let current = seen
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const changedMs = Math.max(clock.nowMs(), current.changedMs + 1)
        const isDone = await db.updateIf(
          usersTable,
          { id: seen.id },
          { changedMs: current.changedMs, status: current.status },
          { ...toColumns(changes), changedMs },
        )
        if (isDone) return { ...current, ...changes, changedMs }
        const latest = await read(seen.id, { isSerial: true })
        if (latest === undefined || !isSame(latest, seen, ['status', ...unchanged]))
          return undefined
        current = latest
      }
      throw new Unavailable('changing a user that others keep changing')
    },
    async scan(page) {
      const { rows, next } = await db.scan(usersTable, { page })
      return { users: rows.map(toUser), ...(next === undefined ? {} : { next }) }
    },
  }
}

function isSame(one: User, other: User, fields: readonly (keyof UserChanges)[]): boolean {
  const [left, right] = [toColumns(one), toColumns(other)]
  return fields.every((field) => left[field] === right[field])
}

function toColumns(fields: UserChanges): Changes<typeof usersTable> {
  const { assets, picture, supportedProtocols, ...others } = fields
  return {
    ...others,
    ...(assets && { assets: JSON.stringify(assets) }),
    ...(picture && { picture: JSON.stringify(picture) }),
    ...(supportedProtocols && { supportedProtocols: JSON.stringify(supportedProtocols) }),
  }
}

function toUser(row: Row<typeof usersTable>): User {
  return {
    ...row,
    assets: JSON.parse(row.assets) as UserAsset[],
    picture: JSON.parse(row.picture) as Picture,
    supportedProtocols: JSON.parse(row.supportedProtocols) as BaseProtocol[],
  }
}
