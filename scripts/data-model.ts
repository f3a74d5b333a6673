/**
 * Writes the tables of docs/data-model.md from the declarations and the notes; `--check` fails when
 * it is not current, or a table has no note.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { wantedOptions } from '../backend/src/adapters/cassandra/schema.ts'
import { allTables } from '../backend/src/compose/tables.ts'
import { layoutOf } from '../backend/src/ports/table-layout.ts'
import type { ColumnLayout } from '../backend/src/ports/table-layout.ts'
import { notes } from './data-model-notes.ts'

const marks = { begin: '<!-- tables: npm run data-model -->', end: '<!-- end of tables -->' }
const file = new URL('../docs/data-model.md', import.meta.url)

const listed = (columns: readonly ColumnLayout[]): string =>
  columns.map(({ name }) => `\`${name}\``).join(', ')

const services = new Map<string, string[]>()
for (const table of allTables.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
  const layout = layoutOf(table)
  const note = notes[table.name]
  if (note === undefined)
    throw new Error(`scripts/data-model-notes.ts says nothing of ${table.name}`)
  const service = table.name.slice(0, table.name.indexOf('_'))
  const { compaction } = wantedOptions(table)
  const cells = [
    `\`${table.name}\``,
    listed(layout.partition),
    listed(layout.cluster),
    [table.writes === 'conditional' ? 'conditional' : 'plain', table.shape].join(', '),
    compaction['class']?.replace('CompactionStrategy', '') ?? '',
    note.serves,
    note.usual,
    note.bound,
  ]
  services.set(service, [...(services.get(service) ?? []), `| ${cells.join(' | ')} |`])
}
const unknown = Object.keys(notes).filter((name) => !allTables.some((table) => table.name === name))
if (unknown.length > 0)
  throw new Error(`there are notes on tables that are gone: ${unknown.join()}`)

const head =
  '| table | partition | rows by | writes, shape | compaction | serves | a usual partition | what bounds it |\n' +
  '| --- | --- | --- | --- | --- | --- | --- | --- |'
const generated = [...services]
  .map(([service, rows]) => `### ${service}\n\n${head}\n${rows.join('\n')}`)
  .join('\n\n')

const text = await readFile(file, 'utf8')
const begin = text.indexOf(marks.begin)
const end = text.indexOf(marks.end)
if (begin < 0 || end < begin) throw new Error('docs/data-model.md has lost its marks')
const wanted = `${text.slice(0, begin + marks.begin.length)}\n\n${generated}\n\n${text.slice(end)}`
if (process.argv.includes('--check')) {
  if (text !== wanted) {
    console.error('docs/data-model.md is not current. Run "npm run data-model".')
    process.exitCode = 1
  } else {
    console.log(`docs/data-model.md lists ${allTables.length} tables`)
  }
} else {
  await writeFile(file, wanted)
}
