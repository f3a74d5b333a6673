import { createHash } from 'node:crypto'
import { layoutOf } from '../../../ports/table-layout.ts'
import type { ColumnLayout } from '../../../ports/table-layout.ts'
import { columnSpec } from '../../../ports/wide-column.ts'
import type { AnyTable, ColumnType } from '../../../ports/wide-column.ts'
import type { TableSchema } from '../schema.ts'

/**
 * One change of the schema. Columns and tables come in one release (`expand`) and go in a later one
 * (`contract`), when no process of an older release reads them any more: so two releases, one after
 * the other, run on the same schema.
 */
export interface Migration {
  /** Rises from 1; a migration that was released never changes. */
  readonly number: number
  readonly name: string
  readonly phase: 'expand' | 'contract'
  readonly changes: readonly SchemaChange[]
}

export type SchemaChange =
  | { readonly kind: 'create-table'; readonly table: TableSchema }
  | { readonly kind: 'add-column'; readonly table: string; readonly column: ColumnLayout }
  | { readonly kind: 'drop-column'; readonly table: string; readonly column: string }
  | { readonly kind: 'drop-table'; readonly table: string }

export const createTable = (declared: AnyTable): SchemaChange => ({
  kind: 'create-table',
  table: { ...layoutOf(declared), writes: declared.writes },
})
/** A new column of a table that has rows is optional, whatever the release declares later. */
export const addColumn = (table: string, name: string, spec: `${ColumnType}?`): SchemaChange => ({
  kind: 'add-column',
  table,
  column: { name, ...columnSpec(spec) },
})
export const dropColumn = (table: string, column: string): SchemaChange => ({
  kind: 'drop-column',
  table,
  column,
})
export const dropTable = (table: string): SchemaChange => ({ kind: 'drop-table', table })

/** @throws {TypeError} when numbers do not rise, or a phase has changes of the other one */
export function checkMigrations(migrations: readonly Migration[]): void {
  let before = 0
  for (const { number, name, phase, changes } of migrations) {
    if (number <= before) throw new TypeError(`migration ${number} (${name}): numbers rise from 1`)
    before = number
    const isDropping = (change: SchemaChange): boolean => change.kind.startsWith('drop-')
    const strange = changes.find((change) => isDropping(change) !== (phase === 'contract'))
    if (strange) {
      throw new TypeError(`migration ${number} (${name}): ${strange.kind} is no part of ${phase}`)
    }
  }
}

/** Of what a migration does, however it is written down. */
export const checksumOf = ({ phase, changes }: Migration): string =>
  createHash('sha256')
    .update(JSON.stringify([phase, changes]))
    .digest('hex')
    .slice(0, 16)

/** The tables that exist once these migrations are done, by name. */
export function schemaAfter(migrations: readonly Migration[]): ReadonlyMap<string, TableSchema> {
  const tables = new Map<string, TableSchema>()
  const known = (name: string): TableSchema => {
    const table = tables.get(name)
    if (table === undefined) throw new TypeError(`there is no table ${name} to change`)
    return table
  }
  for (const change of migrations.flatMap(({ changes }) => changes)) {
    switch (change.kind) {
      case 'create-table':
        tables.set(change.table.name, change.table)
        break
      case 'add-column': {
        const table = known(change.table)
        tables.set(change.table, { ...table, columns: [...table.columns, change.column] })
        break
      }
      case 'drop-column': {
        const table = known(change.table)
        const columns = table.columns.filter(({ name }) => name !== change.column)
        tables.set(change.table, { ...table, columns })
        break
      }
      case 'drop-table':
        known(change.table)
        tables.delete(change.table)
        break
    }
  }
  return tables
}
