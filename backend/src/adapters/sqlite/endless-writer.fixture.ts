import { table } from '../../ports/wide-column.ts'
import { openSqlite } from './wide-column.ts'

/** Writes notes, eight at a time, and tells its parent of each that was answered, until killed. */

const [file = '', user = ''] = process.argv.slice(2)
const notes = table({
  name: 'notes',
  partition: { user: 'uuid' },
  cluster: { note: 'int' },
  columns: { text: 'blob' },
})

await using store = await openSqlite({ file })
await store.open([notes])

async function write(first: number): Promise<void> {
  for (let note = first; ; note += 8) {
    await store.put(notes, { user, note, text: new Uint8Array(1024) })
    process.send?.(note)
  }
}

await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((first) => write(first)))
