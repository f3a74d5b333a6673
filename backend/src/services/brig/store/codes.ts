import { timingSafeEqual } from 'node:crypto'
import type { Email } from '../../../contract/brig/user-fields.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

export type CodePurpose = 'activation' | 'password-reset' | 'deletion'

export const codesTable = table({
  name: 'brig_codes',
  partition: { purpose: of<CodePurpose>()('text'), key: 'text' },
  cluster: {},
  columns: {
    code: 'text',
    triesLeft: 'int',
    user: of<UserId>()('uuid?'),
    email: of<Email>()('text?'),
    expiresMs: 'timestamp',
  },
  writes: 'conditional',
})

export interface IssuedCode {
  /** Whom it is for, if they have an account yet. */
  user?: UserId | undefined
  /** The address that it was mailed to. */
  email?: Email | undefined
  expiresMs: number
}

/** Secrets that are mailed and come back once: one per purpose and key. */
export interface CodeStore {
  /** Takes the place of an earlier one with the same key. */
  issue(
    purpose: CodePurpose,
    key: string,
    issued: { code: string; ttlSeconds: number; user?: UserId; email?: Email },
  ): Promise<void>
  find(purpose: CodePurpose, key: string): Promise<IssuedCode | undefined>
  /** Undefined when the code is wrong, expired, or was guessed at too often. */
  check(purpose: CodePurpose, key: string, code: string): Promise<IssuedCode | undefined>
  remove(purpose: CodePurpose, key: string): Promise<void>
}

const maxAttempts = 10

export function codeStore(
  db: WideColumnStore,
  options: { clock: Pick<Clock, 'nowMs'>; maxTries: number },
): CodeStore {
  const { clock, maxTries } = options

  async function read(purpose: CodePurpose, key: string) {
    const row = await db.get(codesTable, { purpose, key }, { isSerial: true })
    return row && row.expiresMs > clock.nowMs() ? row : undefined
  }

  /** Adds to the tries that are left; false when there are none to take. */
  async function changeTries(
    purpose: CodePurpose,
    key: string,
    code: string,
    by: 1 | -1,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const row = await read(purpose, key)
      if (row?.code !== code || row.triesLeft + by < 0) return false
      const { triesLeft } = row
      const ttlSeconds = Math.max(1, Math.ceil((row.expiresMs - clock.nowMs()) / 1000))
      const change = { triesLeft: triesLeft + by }
      const expected = { code, triesLeft }
      if (await db.updateIf(codesTable, { purpose, key }, expected, change, { ttlSeconds })) {
        return true
      }
    }
    throw new Unavailable('checking a code that others keep checking')
  }

  return {
    async issue(purpose, key, { code, ttlSeconds, user, email }) {
      const expiresMs = clock.nowMs() + ttlSeconds * 1000
      const row = { purpose, key, code, triesLeft: maxTries, user, email, expiresMs }
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        if (await db.putIfAbsent(codesTable, row, { ttlSeconds })) return
        await db.removeIf(codesTable, { purpose, key }, {})
      }
      throw new Unavailable('issuing a code that others keep issuing')
    },
    find: read,
    async check(purpose, key, code) {
      const row = await read(purpose, key)
      if (row === undefined) return undefined
      // Taken before the comparison and given back when it was right: any number of guesses made at
      // the same moment get no more than the tries between them.
      if (!(await changeTries(purpose, key, row.code, -1))) return undefined
      if (!isSame(row.code, code)) return undefined
      await changeTries(purpose, key, row.code, 1)
      return row
    },
    async remove(purpose, key) {
      await db.removeIf(codesTable, { purpose, key }, {})
    },
  }
}

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
