import { keysOf, quote } from '../../ports/table-layout.ts'
import type { ColumnLayout, TableLayout } from '../../ports/table-layout.ts'
import type { ColumnType } from '../../ports/wide-column.ts'

/** Milliseconds since the epoch at which the row is gone; null for ever. */
export const expiryColumn = '"_expires"'

/**
 * A table with a rowid appends rows at its end, whatever their keys, and one index finds them: half
 * the pages written of a table that is ordered by its key, a third once rows exceed 1 KB.
 */
export function createTable(layout: TableLayout): string[] {
  const keys = keysOf(layout)
  const columns = [
    ...keys.map(({ name, type }) => `${quote(name)} ${sqlType(type)} NOT NULL`),
    // In front of the values: a row's expiry is read without walking through a long value.
    `${expiryColumn} INTEGER`,
    ...layout.columns.map(columnDefinition),
    // Not the primary key: that of a single integer would be the rowid itself.
    `UNIQUE (${keys.map(({ name }) => quote(name)).join(', ')})`,
  ]
  const statements = [`CREATE TABLE ${quote(layout.name)} (${columns.join(', ')}) STRICT`]
  if (layout.shape !== 'queue') {
    // A queue does without: its rows expire roughly in the order of the table itself.
    statements.push(
      `CREATE INDEX ${quote(`${layout.name}_expiry`)} ON ${quote(layout.name)} (${expiryColumn})
       WHERE ${expiryColumn} IS NOT NULL`,
    )
  }
  return statements
}

export const addColumn = (layout: TableLayout, column: ColumnLayout): string =>
  `ALTER TABLE ${quote(layout.name)} ADD COLUMN ${columnDefinition(column)}`

// Even a required column may be null: an update of some columns makes a row that readers skip.
const columnDefinition = ({ name, type }: ColumnLayout): string => `${quote(name)} ${sqlType(type)}`

function sqlType(type: ColumnType): string {
  switch (type) {
    case 'text':
      return 'TEXT'
    case 'uuid':
    case 'timeuuid':
    case 'blob':
      return 'BLOB'
    case 'int':
    case 'bigint':
    case 'boolean':
    case 'timestamp':
      return 'INTEGER'
  }
}
