import type { UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

/** Apart from the users, so that no code that shows users can show a hash. */
export const passwordsTable = table({
  name: 'brig_passwords',
  partition: { user: of<UserId>()('uuid') },
  cluster: {},
  columns: { hash: 'text' },
  writes: 'conditional',
})

export interface PasswordStore {
  /** The hash, as `platform/passwords.ts` writes it. */
  get(user: UserId): Promise<string | undefined>
  /** False when the hash is not the one seen: somebody else changed it. */
  replace(user: UserId, seen: string | undefined, hash: string): Promise<boolean>
  remove(user: UserId): Promise<void>
}

export function passwordStore(db: WideColumnStore): PasswordStore {
  return {
    async get(user) {
      const row = await db.get(passwordsTable, { user })
      return row?.hash
    },
    replace: (user, seen, hash) =>
      seen === undefined
        ? db.putIfAbsent(passwordsTable, { user, hash })
        : db.updateIf(passwordsTable, { user }, { hash: seen }, { hash }),
    async remove(user) {
      await db.removeIf(passwordsTable, { user }, {})
    },
  }
}
