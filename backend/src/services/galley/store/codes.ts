import type { ConversationId } from '../../../contract/ids.ts'
import { of, table, type WideColumnStore } from '../../../ports/wide-column.ts'
import { codeKey } from '../rules/guest-links.ts'
import type { Effect } from './conversations.ts'

const codes = table({
  name: 'galley_codes',
  partition: { key: 'text' },
  cluster: {},
  columns: {
    conversation: of<ConversationId>()('uuid'),
    code: 'text',
    password_hash: 'text?',
  },
  writes: 'conditional',
})

export const codeTables = [codes]

/** A guest link. There is one per conversation, because the key follows from it. */
export interface StoredCode {
  readonly key: string
  readonly conversation: ConversationId
  readonly code: string
  readonly passwordHash?: string | undefined
}

export interface CodeStore {
  find(key: string): Promise<StoredCode | undefined>
  /** The code that stands afterwards: of callers at once, one wins and all learn its code. */
  create(code: StoredCode, ttlSeconds: number): Promise<StoredCode>
}

/** Not a code that was made since. */
export async function removeCode(
  db: WideColumnStore,
  { key, code }: Pick<StoredCode, 'key' | 'code'>,
): Promise<void> {
  await db.removeIf(codes, { key }, { code })
}

export function codeStore(db: WideColumnStore): CodeStore {
  async function find(key: string): Promise<StoredCode | undefined> {
    const row = await db.get(codes, { key }, { isSerial: true })
    return row && { ...row, passwordHash: row.password_hash }
  }

  async function create(code: StoredCode, ttlSeconds: number): Promise<StoredCode> {
    const { key, conversation, passwordHash } = code
    const row = { key, conversation, code: code.code, password_hash: passwordHash }
    if (await db.putIfAbsent(codes, row, { ttlSeconds })) return code
    // Between two calls the other one's code may have run out; then there is room for this one.
    return (await find(key)) ?? create(code, ttlSeconds)
  }

  return { find, create }
}

/** As a part of a change, so that a link goes when the change has won, and everybody is told. */
export async function codeRemoval(
  codes: CodeStore,
  conversation: ConversationId,
): Promise<Effect[]> {
  const found = await codes.find(codeKey(conversation))
  return found ? [{ kind: 'code-removed', key: found.key, code: found.code }] : []
}
