import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import type { User, UserStore } from './users.ts'

const claimsTable = (name: string) =>
  table({
    name,
    partition: { value: 'text' },
    cluster: {},
    columns: { user: of<UserId>()('uuid'), isHeld: 'boolean' },
    writes: 'conditional',
  })

/** By handle. */
export const handlesTable = claimsTable('brig_handles')
/** By lower-case e-mail address. */
export const emailsTable = claimsTable('brig_emails')

/**
 * Values that only one user may have. A user takes one in three steps: claim it here, write it into
 * the user's row, hold it here. A crash in between leaves a claim that nobody else can take and that
 * the same user completes by trying again.
 *
 * A held value that its owner no longer shows is free: so changing a value, or deleting a user, has
 * no step that could be forgotten.
 */
export interface ClaimStore {
  /** The user who shows the value. */
  find(value: string): Promise<User | undefined>
  /** Whoever claimed it, even if the user's row does not show it yet, or not everything is done. */
  findClaimant(value: string): Promise<{ user: User; isHeld: boolean } | undefined>
  isTaken(value: string): Promise<boolean>
  claim(value: string, user: UserId): Promise<'claimed' | 'taken'>
  hold(value: string, user: UserId): Promise<void>
  /** Forgets the value, once the user no longer shows it. */
  release(value: string, user: UserId): Promise<void>
}

/** Two users who race for a value settle it in one or two rounds. */
const maxAttempts = 10

export function claimStore(
  db: WideColumnStore,
  claims: ReturnType<typeof claimsTable>,
  options: { users: UserStore; valueOf: (user: User) => string | undefined },
): ClaimStore {
  const { users, valueOf } = options

  async function findClaimant(value: string) {
    const row = await db.get(claims, { value })
    const user = row && (await users.get(row.user))
    if (user === undefined || user.status === 'deleted') return undefined
    return { user, isHeld: row?.isHeld === true }
  }

  /** Whether nobody needs the row any more. */
  async function isFree(row: { value: string; user: UserId; isHeld: boolean }): Promise<boolean> {
    const owner = await users.get(row.user)
    if (owner === undefined || owner.status === 'deleted') return true
    return row.isHeld && valueOf(owner) !== row.value
  }

  return {
    async find(value) {
      const user = (await findClaimant(value))?.user
      return user && valueOf(user) === value ? user : undefined
    },
    findClaimant,
    async isTaken(value) {
      const row = await db.get(claims, { value })
      return row !== undefined && !(await isFree(row))
    },
    async claim(value, user) {
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const claim = db.putIfAbsent(claims, { value, user, isHeld: false })
        if (await isKnownToApply(claim)) return 'claimed'
        const row = await db.get(claims, { value }, { isSerial: true })
        if (row === undefined) continue
        if (row.user === user) {
          if (!row.isHeld) return 'claimed'
          // Our own from before. No longer held, it cannot be found free while we take it again.
        } else if (!(await isFree(row))) return 'taken'
        const seen = { user: row.user, isHeld: row.isHeld }
        const takeover = db.updateIf(claims, { value }, seen, { user, isHeld: false })
        if (await isKnownToApply(takeover)) return 'claimed'
      }
      throw new Unavailable('claiming a value that others keep claiming')
    },
    async hold(value, user) {
      await db.updateIf(claims, { value }, { user, isHeld: false }, { isHeld: true })
    },
    async release(value, user) {
      const row = await db.get(claims, { value }, { isSerial: true })
      if (row?.user !== user || !(await isFree(row))) return
      await db.removeIf(claims, { value }, { user, isHeld: row.isHeld })
    },
  }
}

/** Several who write one row at once may not hear who was first: then the next serial read tells. */
async function isKnownToApply(write: Promise<boolean>): Promise<boolean> {
  try {
    return await write
  } catch (error) {
    if (error instanceof UnknownOutcome) return false
    throw error
  }
}
