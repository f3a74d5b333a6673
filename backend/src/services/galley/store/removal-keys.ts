import { createPrivateKey, type KeyObject } from 'node:crypto'
import { SignatureScheme } from '../../../contract/galley/mls-keys.ts'
import { of, table, type WideColumnStore } from '../../../ports/wide-column.ts'
import { generateRemovalKey } from '../rules/removal-keys.ts'

/**
 * Clients put these keys into their groups, for good: a key that changed could not remove anybody
 * from the groups that were made before.
 */
const removalKeys = table({
  name: 'galley_removal_keys',
  partition: { scheme: of<SignatureScheme>()('text') },
  cluster: {},
  /** PKCS #8. */
  columns: { private_key: 'blob' },
  writes: 'conditional',
})

export const removalKeyTables = [removalKeys]

export type RemovalKeys = Readonly<Record<SignatureScheme, KeyObject>>

/** Made when the first process starts, and the same ever after. */
export async function loadRemovalKeys(db: WideColumnStore): Promise<RemovalKeys> {
  async function load(scheme: SignatureScheme): Promise<KeyObject> {
    const row = await db.get(removalKeys, { scheme }, { isSerial: true })
    if (row) {
      const key = Buffer.from(row.private_key)
      return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
    }
    const generated = generateRemovalKey(scheme)
    const private_key = generated.export({ format: 'der', type: 'pkcs8' })
    const isFirst = await db.putIfAbsent(removalKeys, { scheme, private_key })
    return isFirst ? generated : load(scheme)
  }

  const keys = await Promise.all(
    SignatureScheme.options.map(async (scheme) => [scheme, await load(scheme)] as const),
  )
  return Object.fromEntries(keys) as RemovalKeys
}
