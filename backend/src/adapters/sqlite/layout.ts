import { columnSpec } from '../../ports/wide-column.ts'
import type { AnyTable, Columns, ColumnType } from '../../ports/wide-column.ts'

export interface ColumnLayout {
  name: string
  type: ColumnType
  isOptional: boolean
}

/** A table declaration as plain data: it crosses to the writer's thread and is kept in the file. */
export interface TableLayout {
  name: string
  partition: ColumnLayout[]
  cluster: ColumnLayout[]
  columns: ColumnLayout[]
  shape: 'rows' | 'queue'
}

export const keysOf = (layout: TableLayout): ColumnLayout[] => [
  ...layout.partition,
  ...layout.cluster,
]
export const allOf = (layout: TableLayout): ColumnLayout[] => [...keysOf(layout), ...layout.columns]

/** Milliseconds since the epoch at which the row is gone; null for ever. */
export const expiryColumn = '"_expires"'

export const quote = (name: string): string => `"${name}"`

const namePattern = /^[A-Za-z][A-Za-z0-9_]*$/

export function layoutOf(table: AnyTable): TableLayout {
  const layout = {
    name: table.name,
    partition: columnsOf(table.partition),
    cluster: columnsOf(table.cluster),
    columns: columnsOf(table.columns),
    // Rows that come and go leave nothing behind here.
    shape: table.shape === 'queue' ? ('queue' as const) : ('rows' as const),
  }
  const names = allOf(layout).map(({ name }) => name.toLowerCase())
  const odd = [table.name, ...names].find((name) => !namePattern.test(name))
  if (odd !== undefined) throw new TypeError(`${table.name}: '${odd}' is not a name for a column`)
  if (new Set(names).size < names.length) {
    throw new TypeError(`${table.name}: two columns have the same name`)
  }
  if (layout.partition.length === 0) throw new TypeError(`${table.name}: no partition key`)
  const optionalKey = keysOf(layout).find(({ isOptional }) => isOptional)
  if (optionalKey) throw new TypeError(`${table.name}: key '${optionalKey.name}' is optional`)
  return layout
}

function columnsOf(columns: Columns): ColumnLayout[] {
  return Object.entries(columns).map(([name, column]) => {
    const { type, isOptional } = columnSpec(column)
    return { name, type, isOptional }
  })
}

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
  if (layout.shape === 'rows') {
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
