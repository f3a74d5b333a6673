import { layoutOf } from '../../../ports/table-layout.ts'
import type { ColumnLayout } from '../../../ports/table-layout.ts'
import type { AnyTable } from '../../../ports/wide-column.ts'
import type { TableSchema } from '../schema.ts'

/** What lies between a schema and the declared tables, as the source of migrations. */
export interface SchemaDifferences {
  readonly expand: readonly string[]
  readonly contract: readonly string[]
  /** What no migration can do: sentences. */
  readonly impossible: readonly string[]
}

export function differences(
  known: ReadonlyMap<string, TableSchema>,
  declared: readonly AnyTable[],
): SchemaDifferences {
  const expand: string[] = []
  const contract: string[] = []
  const impossible: string[] = []
  for (const table of declared) {
    const now: TableSchema = { ...layoutOf(table), writes: table.writes }
    const before = known.get(now.name)
    if (before === undefined) {
      expand.push(`createTable(table(${declarationText(now)}))`)
      continue
    }
    for (const [what, one, other] of [
      ['key', keyText(before), keyText(now)],
      ['shape', before.shape, now.shape],
      ['kind of writes', before.writes, now.writes],
    ]) {
      if (one !== other) impossible.push(`${now.name}: its ${what} is ${one} and would be ${other}`)
    }
    const columnsBefore = new Map(before.columns.map((column) => [column.name, column]))
    for (const { name, type } of now.columns) {
      const was = columnsBefore.get(name)
      if (was === undefined) expand.push(`addColumn('${now.name}', '${name}', '${type}?')`)
      else if (was.type !== type) {
        impossible.push(`${now.name}.${name} holds ${was.type} and would hold ${type}`)
      }
    }
    for (const { name } of before.columns) {
      if (!now.columns.some((column) => column.name === name)) {
        contract.push(`dropColumn('${now.name}', '${name}')`)
      }
    }
  }
  for (const name of known.keys()) {
    if (!declared.some((table) => table.name === name)) contract.push(`dropTable('${name}')`)
  }
  return { expand, contract, impossible }
}

function declarationText({
  name,
  partition,
  cluster,
  columns,
  writes,
  shape,
}: TableSchema): string {
  const text = (of: readonly ColumnLayout[]): string =>
    `{ ${of.map((c) => `${c.name}: '${c.type}${c.isOptional ? '?' : ''}'`).join(', ')} }`
  return `{ name: '${name}', partition: ${text(partition)}, cluster: ${text(cluster)}, columns: ${text(columns)}, writes: '${writes}', shape: '${shape}' }`
}

const keyText = ({ partition, cluster }: TableSchema): string =>
  [partition, cluster]
    .map((columns) => columns.map(({ name, type }) => `${name} ${type}`).join(', '))
    .join(' | ')
