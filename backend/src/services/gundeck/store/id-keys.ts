import { table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

/** Keys of the hash in notification ids: one installation, all its gundecks. */
export const idKeysTable = table({
  name: 'gundeck_id_keys',
  partition: { scope: 'text' },
  cluster: { generation: 'int' },
  columns: { key: 'blob' },
  writes: 'conditional',
})

const scope = 'notifications'

/** Newest first; makes the first one when there is none, of racing instances only one. */
export async function loadIdKeys(
  db: WideColumnStore,
  makeKey: () => Uint8Array,
): Promise<[Uint8Array, ...Uint8Array[]]> {
  for (;;) {
    const { rows } = await db.list(idKeysTable, { scope }, { order: 'descending' })
    const [newest, ...older] = rows.map((row) => row.key)
    if (newest !== undefined) return [newest, ...older]
    await db.putIfAbsent(idKeysTable, { scope, generation: 1, key: makeKey() })
  }
}
