import { columnSpec } from './wide-column.ts'
import type { AnyTable, Columns, ColumnType } from './wide-column.ts'

export interface ColumnLayout {
  name: string
  type: ColumnType
  isOptional: boolean
}

/** A table declaration as plain data, which adapters build their statements from. */
export interface TableLayout {
  name: string
  partition: ColumnLayout[]
  cluster: ColumnLayout[]
  columns: ColumnLayout[]
  shape: AnyTable['shape']
}

export const keysOf = (layout: TableLayout): ColumnLayout[] => [
  ...layout.partition,
  ...layout.cluster,
]
export const allOf = (layout: TableLayout): ColumnLayout[] => [...keysOf(layout), ...layout.columns]

/** The partition key of a table that has one column of it. */
export function onlyPartitionKey({ name, partition }: TableLayout): ColumnLayout {
  const [key, ...others] = partition
  if (key === undefined || others.length > 0) {
    throw new TypeError(`${name}: its partition key is not one column`)
  }
  return key
}

export const quote = (name: string): string => `"${name}"`

const namePattern = /^[A-Za-z][A-Za-z0-9_]*$/

/** @throws {TypeError} when a declaration cannot be a table */
export function layoutOf(table: AnyTable): TableLayout {
  const layout = {
    name: table.name,
    partition: columnsOf(table.partition),
    cluster: columnsOf(table.cluster),
    columns: columnsOf(table.columns),
    shape: table.shape,
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
