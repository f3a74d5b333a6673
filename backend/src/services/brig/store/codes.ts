import { timingSafeEqual } from 'node:crypto'
import type { Email } from '../../../contract/brig/user-fields.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { ReadOptions, Row, WideColumnStore } from '../../../ports/wide-column.ts'

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
type StoredCode = Row<typeof codesTable>

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

  async function read(purpose: CodePurpose, key: string, options: ReadOptions = {}) {
    const row = await db.get(codesTable, { purpose, key }, options)
    return row && row.expiresMs > clock.nowMs() ? row : undefined
  }

  /** Adds to the tries that are left; undefined when there are none to take. */
  async function changeTries(seen: StoredCode, by: 1 | -1): Promise<StoredCode | undefined> {
    const { purpose, key, code } = seen
    let current: StoredCode | undefined = seen
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      if (current?.code !== code || current.triesLeft + by < 0) return undefined
      const ttlSeconds = Math.max(1, Math.ceil((current.expiresMs - clock.nowMs()) / 1000))
      const changes = { triesLeft: current.triesLeft + by }
      const expected = { code, triesLeft: current.triesLeft }
      if (await db.updateIf(codesTable, { purpose, key }, expected, changes, { ttlSeconds })) {
        return { ...current, ...changes }
      }
      current = await read(purpose, key, { isSerial: true })
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
    find: (purpose, key) => read(purpose, key),
    async check(purpose, key, code) {
      const row = await read(purpose, key)
      // Taken before the comparison and given back when it was right: any number of guesses made at
      // the same moment get no more than the tries between them.
      const taken = row && (await changeTries(row, -1))
      if (taken === undefined || !isSame(taken.code, code)) return undefined
      await changeTries(taken, 1)
      return taken
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
