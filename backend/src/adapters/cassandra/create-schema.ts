import { layoutOf } from '../../ports/table-layout.ts'
import type { AnyTable } from '../../ports/wide-column.ts'
import { createTable, keyspaceOf } from './schema.ts'
import type { TableOptions } from './schema.ts'
import type { Session } from './session.ts'
import { missingOf } from './wide-column.ts'

/** How many nodes hold a row, by datacenter. */
export type Replication = Readonly<Record<string, number>>

export const createKeyspace = (name: string, replication: Replication): string =>
  `CREATE KEYSPACE IF NOT EXISTS "${name}" WITH replication = ${mapText(replication)}`
export const alterKeyspace = (name: string, replication: Replication): string =>
  `ALTER KEYSPACE "${name}" WITH replication = ${mapText(replication)}`

function mapText(replication: Replication): string {
  const factors = Object.entries(replication).map(([dc, count]) => `'${dc}': ${count}`)
  return `{${["'class': 'NetworkTopologyStrategy'", ...factors].join(', ')}}`
}

/** Undefined for a keyspace that does not exist. */
export async function readReplication(
  session: Session,
  keyspace: string,
): Promise<Replication | undefined> {
  const [row] = await session.read({
    query: 'SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?',
    params: [Buffer.from(keyspace)],
  })
  if (row === undefined) return undefined
  const found = Object.entries(row['replication'] as Record<string, string>)
  return Object.fromEntries(
    found.filter(([key]) => key !== 'class').map(([dc, count]) => [dc, Number(count)]),
  )
}

/** Undefined for a table that does not exist. */
export async function readOptions(
  session: Session,
  keyspace: string,
  table: string,
): Promise<TableOptions | undefined> {
  const [row] = await session.read({
    query:
      'SELECT compaction, gc_grace_seconds FROM system_schema.tables ' +
      'WHERE keyspace_name = ? AND table_name = ?',
    params: [Buffer.from(keyspaceOf(keyspace, table)), Buffer.from(table)],
  })
  if (row === undefined) return undefined
  const compaction = row['compaction'] as Record<string, string>
  return {
    compaction: { ...compaction, class: compaction['class']?.split('.').at(-1) ?? '' },
    gcGraceSeconds: Number(row['gc_grace_seconds']),
  }
}

/** Of a keyspace that is made without saying more: a row on three nodes, or on all there are. */
export async function defaultReplication(session: Session): Promise<Replication> {
  const [local, peers] = await Promise.all([
    session.read({ query: 'SELECT data_center FROM system.local', params: [] }),
    session.read({ query: 'SELECT data_center FROM system.peers', params: [] }),
  ])
  const counts: Record<string, number> = {}
  for (const row of [...local, ...peers]) {
    const dc = String(row['data_center'])
    counts[dc] = Math.min(3, (counts[dc] ?? 0) + 1)
  }
  return counts
}

/** Tables as they are declared, at once and without migrations: for those of the jobs, and tests. */
export async function createSchema(
  session: Session,
  keyspace: string,
  tables: readonly AnyTable[],
  replication?: Replication,
): Promise<void> {
  const schemas = tables.map((table) => ({ ...layoutOf(table), writes: table.writes }))
  const keyspaces = new Set(schemas.map((schema) => keyspaceOf(keyspace, schema.name)))
  await session.untilAgreed(keyspaces)
  if ((await missingOf(session, keyspace, schemas)) === undefined) return
  const copies = replication ?? (await defaultReplication(session))
  for (const name of keyspaces) await session.administer(name, createKeyspace(name, copies))
  for (const schema of schemas) {
    await session.administer(keyspaceOf(keyspace, schema.name), createTable(keyspace, schema))
  }
  await session.untilAgreed(keyspaces)
}
