/**
 * Compares the tables that services declare with what the migrations of Cassandra make, and writes
 * the missing migrations: `npm run migration -- NAME`. With `--check` it only says what is missing.
 */
import { writeFile } from 'node:fs/promises'
import { migrations } from '../backend/src/adapters/cassandra/migrations/all.ts'
import { schemaAfter } from '../backend/src/adapters/cassandra/migrations/migration.ts'
import { differences } from '../backend/src/adapters/cassandra/migrations/differences.ts'
import { allTables } from '../backend/src/compose/tables.ts'

const { expand, contract, impossible } = differences(schemaAfter(migrations), allTables)
const name = process.argv.slice(2).find((arg) => !arg.startsWith('-')) ?? 'change'
let number = migrations.at(-1)?.number ?? 0

for (const problem of impossible) console.error(`cannot be migrated: ${problem}`)
if (process.argv.includes('--check')) {
  for (const change of [...expand, ...contract]) console.error(`no migration has: ${change}`)
  if (expand.length + contract.length + impossible.length > 0) {
    console.error('Write the missing migration with "npm run migration -- NAME".')
    process.exitCode = 1
  } else {
    console.log('the migrations make what is declared')
  }
} else if (impossible.length > 0) {
  process.exitCode = 1
} else {
  if (expand.length > 0) await write('expand', expand)
  if (contract.length > 0) await write('contract', contract)
  if (expand.length + contract.length === 0) console.log('nothing to write')
}

async function write(phase: 'expand' | 'contract', changes: readonly string[]): Promise<void> {
  number += 1
  const file = `${String(number).padStart(3, '0')}-${name}${phase === 'contract' ? '-contract' : ''}`
  const identifier = file
    .slice(4)
    .replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  const used = ['createTable', 'addColumn', 'dropColumn', 'dropTable'].filter((word) =>
    changes.some((change) => change.startsWith(`${word}(`)),
  )
  const hasTables = used.includes('createTable')
  const text = `${hasTables ? "import { table } from '../../../ports/wide-column.ts'\n" : ''}import { ${used.join(', ')} } from './migration.ts'
import type { Migration } from './migration.ts'

/** Released: never changes again. */
export const ${identifier}: Migration = {
  number: ${number},
  name: '${file.slice(4)}',
  phase: '${phase}',
  changes: [
${changes.map((change) => `    ${change},`).join('\n')}
  ],
}
`
  const url = new URL(`../backend/src/adapters/cassandra/migrations/${file}.ts`, import.meta.url)
  await writeFile(url, text, { flag: 'wx' })
  console.log(`wrote ${url.pathname}; add it to all.ts, then run "npm run format"`)
}
