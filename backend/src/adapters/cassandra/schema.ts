import { quote } from '../../ports/table-layout.ts'
import type { ColumnLayout, TableLayout } from '../../ports/table-layout.ts'
import type { AnyTable } from '../../ports/wide-column.ts'

/**
 * Whether a row exists: in tables with conditional writes a row is what has this column. Neither the
 * store's own `IF EXISTS`, which cannot stand beside other conditions, nor a condition on one of the
 * declared columns, which may all be optional, could say so.
 */
export const existsColumn = '"_row"'
/** Never has a value. A statement that only states a condition "removes" it. */
export const touchedColumn = '"_touched"'

const hiddenColumns: readonly ColumnLayout[] = ['_row', '_touched'].map((name) => ({
  name,
  type: 'boolean',
  isOptional: true,
}))
const hiddenOf = ({ writes }: Pick<TableSchema, 'writes'>): readonly ColumnLayout[] =>
  writes === 'conditional' ? hiddenColumns : []

/** A table as migrations make it: everything about it that is in the store. */
export interface TableSchema extends TableLayout {
  readonly writes: AnyTable['writes']
}

/** One keyspace for each service, so that each service's role can be let into its own only. */
export function keyspaceOf(keyspace: string, tableName: string): string {
  const end = tableName.indexOf('_')
  if (end < 1) throw new TypeError(`${tableName}: a table is named <service>_<noun>`)
  return `${keyspace}_${tableName.slice(0, end)}`
}

export const qualifiedName = (keyspace: string, tableName: string): string =>
  `${quote(keyspaceOf(keyspace, tableName))}.${quote(tableName)}`

export function createTable(keyspace: string, schema: TableSchema): string {
  const { partition, cluster, columns } = schema
  const definitions = [
    ...[...partition, ...cluster, ...columns, ...hiddenOf(schema)].map(definition),
    `PRIMARY KEY (${[`(${names(partition)})`, ...cluster.map(({ name }) => quote(name))].join(', ')})`,
  ]
  return (
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(keyspace, schema.name)} (${definitions.join(', ')})` +
    ` WITH ${optionsText(schema)}`
  )
}

export const addColumn = (keyspace: string, tableName: string, column: ColumnLayout): string =>
  `ALTER TABLE ${qualifiedName(keyspace, tableName)} ADD ${definition(column)}`
export const dropColumn = (keyspace: string, tableName: string, name: string): string =>
  `ALTER TABLE ${qualifiedName(keyspace, tableName)} DROP ${quote(name)}`
export const dropTable = (keyspace: string, tableName: string): string =>
  `DROP TABLE IF EXISTS ${qualifiedName(keyspace, tableName)}`
export const alterOptions = (keyspace: string, schema: TableSchema): string =>
  `ALTER TABLE ${qualifiedName(keyspace, schema.name)} WITH ${optionsText(schema)}`

const secondsPerDay = 24 * 60 * 60

export interface TableOptions {
  readonly compaction: Readonly<Record<string, string>>
  readonly gcGraceSeconds: number
}

/**
 * How a table is compacted and for how long its tombstones stay; docs/data-model.md says why and
 * what was measured. A tombstone must outlive the hints (3 hours) and the interval between two
 * repairs, or what it removed comes back from a replica that missed it.
 */
export function wantedOptions({ shape }: Pick<TableSchema, 'shape'>): TableOptions {
  switch (shape) {
    case 'rows':
      return {
        // Levels: a read meets one file per level, and these rows are read far more than written.
        compaction: { class: 'UnifiedCompactionStrategy', scaling_parameters: 'L4' },
        gcGraceSeconds: 10 * secondsPerDay,
      }
    case 'queue':
      return {
        // A file per day, which goes as a whole when its rows have expired. Most rows are removed
        // before they leave memory, and readers begin behind what is removed.
        compaction: {
          class: 'TimeWindowCompactionStrategy',
          compaction_window_unit: 'DAYS',
          compaction_window_size: '1',
        },
        // What comes back here lies behind the cursor, where nobody reads, and expires.
        gcGraceSeconds: secondsPerDay,
      }
    case 'worklist':
      return {
        // Scans meet every tombstone of the table, so these must go soon: compact eagerly.
        compaction: {
          class: 'UnifiedCompactionStrategy',
          scaling_parameters: 'L10',
          tombstone_threshold: '0.05',
          tombstone_compaction_interval: '3600',
          unchecked_tombstone_compaction: 'true',
        },
        gcGraceSeconds: secondsPerDay,
      }
  }
}

function optionsText(schema: Pick<TableSchema, 'shape'>): string {
  const { compaction, gcGraceSeconds } = wantedOptions(schema)
  const pairs = Object.entries(compaction).map(([key, value]) => `'${key}': '${value}'`)
  return `compaction = {${pairs.join(', ')}} AND gc_grace_seconds = ${gcGraceSeconds}`
}

const definition = ({ name, type }: ColumnLayout): string => `${quote(name)} ${type}`
const names = (columns: readonly ColumnLayout[]): string =>
  columns.map(({ name }) => quote(name)).join(', ')

/** A column as `system_schema.columns` shows it. */
export interface ColumnRow {
  readonly table_name: string
  readonly column_name: string
  /** `partition_key`, `clustering` or `regular`. */
  readonly kind: string
  readonly position: number
  readonly type: string
}

/** What a table needs and does not have; undefined when it can be used. */
export function differenceOf(schema: TableSchema, found: readonly ColumnRow[]): string | undefined {
  const rows = found.filter(({ table_name }) => table_name === schema.name)
  if (rows.length === 0) return `table ${schema.name} is missing`
  const keyText = (kind: string): string =>
    rows
      .filter((row) => row.kind === kind)
      .toSorted((one, other) => one.position - other.position)
      .map((row) => `${row.column_name} ${row.type}`)
      .join(', ')
  const declared = [schema.partition, schema.cluster].map((columns) =>
    columns.map(({ name, type }) => `${name} ${type}`).join(', '),
  )
  const stored = [keyText('partition_key'), keyText('clustering')]
  if (declared.join(' | ') !== stored.join(' | ')) {
    return `table ${schema.name} has the key (${stored.join(' | ')}), not (${declared.join(' | ')})`
  }
  for (const { name, type } of [...schema.columns, ...hiddenOf(schema)]) {
    const row = rows.find(({ column_name }) => column_name === name)
    if (row === undefined) return `column ${schema.name}.${name} is missing`
    if (row.type !== type) return `column ${schema.name}.${name} holds ${row.type}, not ${type}`
  }
  return undefined
}
