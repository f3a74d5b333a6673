import type { Step, StepContext } from '../../../platform/jobs/job.ts'
import { alterKeyspace, createKeyspace, readOptions, readReplication } from '../create-schema.ts'
import type { Replication } from '../create-schema.ts'
import {
  addColumn,
  alterOptions,
  createTable,
  dropColumn,
  dropTable,
  keyspaceOf,
  wantedOptions,
} from '../schema.ts'
import type { TableOptions, TableSchema } from '../schema.ts'
import type { SchemaUser } from '../schema-users.ts'
import type { Session } from '../session.ts'
import { readColumns } from '../wide-column.ts'
import { checkMigrations, checksumOf, schemaAfter } from './migration.ts'
import type { Migration, SchemaChange } from './migration.ts'

export interface MigrationDeps {
  readonly session: Session
  /** Beginning of the names of all keyspaces. */
  readonly keyspace: string
  readonly replication: Replication
  /** Processes that use the schema now. */
  readonly users: () => Promise<readonly SchemaUser[]>
  /** Whether steps that take something away may run. */
  readonly isContracting: boolean
}

/** Behind all migrations: they look at the whole schema, in every run. */
const upkeepStep = 1_000_000

/** The steps of `cassandra-migrations`: the migrations, and what every run looks after. */
export function migrationSteps(migrations: readonly Migration[], deps: MigrationDeps): Step[] {
  checkMigrations(migrations)
  return [
    ...migrations.map((migration) => stepOf(migration, deps)),
    {
      number: upkeepStep,
      name: 'replication-and-options',
      checksum: 'every-run',
      isRepeated: true,
      run: (context) => upkeep(migrations, deps, context),
    },
  ]
}

function stepOf(migration: Migration, deps: MigrationDeps): Step {
  const { number, name, phase, changes } = migration
  return {
    number,
    name,
    checksum: checksumOf(migration),
    ...(phase === 'contract' && { obstacle: () => obstacleOf(migration, deps) }),
    async run(context) {
      const keyspaces = new Set(changes.map((change) => keyspaceOf(deps.keyspace, tableOf(change))))
      await context.patiently(() => deps.session.untilAgreed(keyspaces))
      for (let index = Number(context.cursor ?? 0); index < changes.length; index += 1) {
        const change = changes[index]
        if (change !== undefined) await context.patiently(() => apply(change, deps))
        await context.save(`${index + 1}`, { done: index + 1, total: changes.length })
      }
      // Services must not meet nodes without it.
      await context.patiently(() => deps.session.untilAgreed(keyspaces))
    },
  }
}

/** Why what is to go is still needed. */
async function obstacleOf(
  { number }: Migration,
  { users, isContracting }: MigrationDeps,
): Promise<string | undefined> {
  if (!isContracting) return 'run again with --contract when every host runs this release'
  const older = (await users()).filter(({ schema }) => schema < number)
  if (older.length === 0) return undefined
  const names = [...new Set(older.map(({ service, host }) => `${service} on ${host}`))]
  return `an older release still runs: ${names.toSorted().join(', ')}`
}

const tableOf = (change: SchemaChange): string =>
  change.kind === 'create-table' ? change.table.name : change.table

/** Does a change unless it is done: an interrupted run does not know of its last one. */
async function apply(change: SchemaChange, deps: MigrationDeps): Promise<void> {
  const { session, keyspace, replication } = deps
  const table = tableOf(change)
  const inKeyspace = keyspaceOf(keyspace, table)
  if (change.kind === 'create-table') {
    await session.administer(inKeyspace, createKeyspace(inKeyspace, replication))
    await session.administer(inKeyspace, createTable(keyspace, change.table))
    return
  }
  if (change.kind === 'drop-table') {
    await session.administer(inKeyspace, dropTable(keyspace, table))
    return
  }
  const columns = await readColumns(session, new Set([inKeyspace]))
  const name = change.kind === 'add-column' ? change.column.name : change.column
  const isThere = columns.some((row) => row.table_name === table && row.column_name === name)
  if (change.kind === 'add-column') {
    if (!isThere) await session.administer(inKeyspace, addColumn(keyspace, table, change.column))
  } else if (isThere) {
    await session.administer(inKeyspace, dropColumn(keyspace, table, name))
  }
}

/** Keyspaces have the copies, and tables the options, that this release and its configuration want. */
async function upkeep(
  migrations: readonly Migration[],
  deps: MigrationDeps,
  context: StepContext,
): Promise<void> {
  const { session, keyspace, replication } = deps
  const tables = [...schemaAfter(migrations).values()]
  const keyspaces = new Set(tables.map(({ name }) => keyspaceOf(keyspace, name)))
  const administer = (table: TableSchema): Promise<void> =>
    session.administer(keyspaceOf(keyspace, table.name), alterOptions(keyspace, table))
  await context.patiently(() => session.untilAgreed(keyspaces))
  for (const name of keyspaces) {
    const found = await context.patiently(() => readReplication(session, name))
    if (found !== undefined && shown(found) !== shown(replication)) {
      await context.patiently(() => session.administer(name, alterKeyspace(name, replication)))
      context.report(`${name}: copies are now ${shown(replication)}, before ${shown(found)}`)
      context.report(`${name}: run a full repair on every node before a node may fail`)
    }
  }
  for (const table of tables) {
    const found = await context.patiently(() => readOptions(session, keyspace, table.name))
    if (found !== undefined && !isAsWanted(found, table)) {
      await context.patiently(() => administer(table))
      context.report(`${table.name}: options are changed`)
    }
  }
  await context.patiently(() => session.untilAgreed(keyspaces))
}

/** The store adds options of its own, which do not count. */
function isAsWanted(found: TableOptions, table: TableSchema): boolean {
  const wanted = wantedOptions(table)
  const given = Object.entries(wanted.compaction)
  return (
    found.gcGraceSeconds === wanted.gcGraceSeconds &&
    given.every(([key, value]) => found.compaction[key] === value)
  )
}

const shown = (replication: Replication): string =>
  Object.entries(replication)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([dc, count]) => `${count} in ${dc}`)
    .join(', ')
