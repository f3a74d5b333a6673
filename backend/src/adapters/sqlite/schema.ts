import type { DatabaseSync } from 'node:sqlite'
import { quote } from '../../ports/table-layout.ts'
import type { ColumnLayout, TableLayout } from '../../ports/table-layout.ts'
import { addColumn, createTable } from './layout.ts'

/**
 * Creates what is missing: tables, and columns of tables that exist. Columns that are no longer
 * declared stay, so that the release before can still run.
 */
export function upgradeSchema(db: DatabaseSync, layouts: readonly TableLayout[]): void {
  db.exec('CREATE TABLE IF NOT EXISTS "_tables" (name TEXT PRIMARY KEY, layout TEXT) STRICT')
  const known = db.prepare('SELECT layout FROM "_tables" WHERE name = ?')
  const remember = db.prepare('INSERT OR REPLACE INTO "_tables" (name, layout) VALUES (?, ?)')
  for (const layout of layouts) {
    const text = known.get(layout.name)?.['layout']
    if (typeof text !== 'string') {
      for (const statement of createTable(layout)) db.exec(statement)
      remember.run(layout.name, JSON.stringify(layout))
      continue
    }
    const before = JSON.parse(text) as TableLayout
    const added = addedColumns(db, before, layout)
    for (const column of added) db.exec(addColumn(layout, column))
    if (added.length > 0) {
      const columns = [...before.columns, ...added]
      remember.run(layout.name, JSON.stringify({ ...before, columns }))
    }
  }
}

function addedColumns(db: DatabaseSync, before: TableLayout, now: TableLayout): ColumnLayout[] {
  const keys = [keysText(before), keysText(now)]
  // Rows and worklists are the same here.
  if (keys[0] !== keys[1] || (before.shape === 'queue') !== (now.shape === 'queue')) {
    throw new SchemaMismatch(
      `table ${now.name} exists with the key ${keys[0]} (${before.shape}) and is declared with ` +
        `${keys[1]} (${now.shape}): a key never changes. Declare a table with a new name and copy ` +
        'the rows, or start with an empty data folder',
    )
  }
  const known = new Map(before.columns.map((column) => [column.name, column]))
  for (const { name, type } of now.columns) {
    const was = known.get(name)?.type
    if (was !== undefined && was !== type) {
      throw new SchemaMismatch(
        `column ${now.name}.${name} holds ${was} and is declared as ${type}: a column keeps its ` +
          'type. Declare a column with a new name',
      )
    }
  }
  const added = now.columns.filter(({ name }) => !known.has(name))
  const required = added.find(({ isOptional }) => !isOptional)
  const hasRows = () => db.prepare(`SELECT 1 FROM ${quote(now.name)} LIMIT 1`).get() !== undefined
  if (required && hasRows()) {
    throw new SchemaMismatch(
      `column ${now.name}.${required.name} is new and required, but the table has rows without it: ` +
        `declare it optional ('${required.type}?')`,
    )
  }
  return added
}

class SchemaMismatch extends Error {
  override name = 'SchemaMismatch'
}

const keysText = ({ partition, cluster }: TableLayout): string =>
  `(${[listText(partition), ...(cluster.length > 0 ? [listText(cluster)] : [])].join(' | ')})`

const listText = (columns: readonly ColumnLayout[]): string =>
  columns.map(({ name, type }) => `${name} ${type}`).join(', ')
