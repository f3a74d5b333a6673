import { setTimeout as sleep } from 'node:timers/promises'
import { Unavailable } from '../../contract/error.ts'
import { largestSmallPartition, noSmallPartition } from '../../ports/wide-column.ts'
import type {
  AnyTable,
  ConditionalOperation,
  Operation,
  Page,
  Row,
  WideColumnStore,
} from '../../ports/wide-column.ts'
import { keyspaceOf, differenceOf } from './schema.ts'
import type { ColumnRow, TableSchema } from './schema.ts'
import { connect } from './session.ts'
import type { Session, SessionOptions } from './session.ts'
import { tableStatements } from './statements.ts'
import type { PageQuery, RawRow, Statement, TableStatements } from './statements.ts'

export interface CassandraOptions extends SessionOptions {
  /** Beginning of the names of all keyspaces: `<keyspace>_<service>`. */
  readonly keyspace: string
  /** Milliseconds since the epoch, for writes that carry no time of their own. */
  readonly nowMs?: () => number
  /** Told what the store waits for when that changes, and `undefined` when it waits no more. */
  readonly waiting?: (reason: string | undefined) => void
  readonly signal?: AbortSignal
}

/** So many partitions a coordinator reads for one request of ours, beside one another. */
const partitionsAtOnce = 32

/** Between two looks at what is waited for. */
const lookEveryMs = 1000

/**
 * A wide-column store in a Cassandra cluster. Waits for the cluster, and in `open` for the schema,
 * which the job `cassandra-migrations` makes.
 */
export async function openCassandra(options: CassandraOptions): Promise<WideColumnStore> {
  return cassandraStore(await waitForSession(options), options)
}

/** Waits until a node answers. */
export const waitForSession = (
  options: SessionOptions & Pick<CassandraOptions, 'waiting' | 'signal'>,
): Promise<Session> => waitFor(options, async () => connect(options))

/** Repeats until it succeeds, and tells of every reason once. */
async function waitFor<Result>(
  options: Pick<CassandraOptions, 'waiting' | 'signal'>,
  look: () => Promise<Result>,
): Promise<Result> {
  let told: string | undefined
  for (;;) {
    try {
      const result = await look()
      if (told !== undefined) options.waiting?.(undefined)
      return result
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      if (error.message !== told) options.waiting?.(error.message)
      told = error.message
      await sleep(lookEveryMs, undefined, options.signal && { signal: options.signal })
    }
  }
}

/** What the cluster has of these keyspaces. */
export async function readColumns(
  session: Session,
  keyspaces: ReadonlySet<string>,
): Promise<ColumnRow[]> {
  const found = await Promise.all(
    [...keyspaces].map((keyspace) =>
      session.read({
        query:
          'SELECT table_name, column_name, kind, position, type FROM system_schema.columns ' +
          'WHERE keyspace_name = ?',
        params: [Buffer.from(keyspace)],
      }),
    ),
  )
  return found.flat() as unknown as ColumnRow[]
}

/** The port over a session that is there. */
export function cassandraStore(
  session: Session,
  options: Pick<CassandraOptions, 'keyspace' | 'nowMs' | 'waiting' | 'signal'>,
): WideColumnStore {
  const nowMs = options.nowMs ?? Date.now
  const tables = new Map<string, TableStatements>()
  const turns = partitionTurns()
  let lastMicros = 0n

  function of(table: AnyTable): TableStatements {
    const statements = tables.get(table.name)
    if (!statements) throw new TypeError(`table ${table.name} was not opened`)
    return statements
  }

  /**
   * Rises with every write of this process, so that the later of two wins. Writes of several
   * processes to one row, if they can race, carry their own.
   */
  function nextMicros(): bigint {
    const now = BigInt(nowMs()) * 1000n
    lastMicros = now > lastMicros ? now : lastMicros + 1n
    return lastMicros
  }

  async function page<T extends AnyTable>(
    table: TableStatements,
    query: PageQuery,
    isSerial: boolean | undefined,
  ): Promise<Page<Row<T>>> {
    const rows: { raw: RawRow; row: object }[] = []
    let last: RawRow | undefined
    for (let isMore = true; isMore && rows.length <= query.limit;) {
      isMore = false
      for (const statement of query.after(last, query.limit + 1 - rows.length)) {
        const wanted = query.limit + 1 - rows.length
        if (wanted <= 0) break
        const found = await session.read(statement, { isSerial })
        for (const raw of found) {
          const row = table.decode(raw)
          if (row !== undefined) rows.push({ raw, row })
        }
        last = found.at(-1) ?? last
        // It gave all it was asked for: there may be more behind.
        isMore = found.length >= countOf(statement)
        if (isMore) break
      }
    }
    const shown = rows.slice(0, query.limit)
    const end = shown.at(-1)
    return {
      rows: shown.map(({ row }) => row as Row<T>),
      ...(rows.length > shown.length && end ? { next: query.tokenAfter(end.raw) } : {}),
    }
  }

  async function write(operations: readonly Operation[]): Promise<void> {
    if (operations.length === 0) return
    const statements = operations.map((operation) =>
      of(operation.table).write(operation, nextMicros()),
    )
    const isOnePartition =
      operations.length === 1 ||
      new Set(operations.map((operation) => partitionOf(operation))).size === 1
    await session.write(statements, { isOnePartition })
  }

  function partitionOf(operation: Operation): string {
    const table = of(operation.table)
    switch (operation.kind) {
      case 'put':
        return table.partitionText(operation.row)
      case 'update':
      case 'remove':
        return table.partitionText(operation.key)
      case 'removeRange':
        return table.partitionText(operation.partition)
    }
  }

  async function writeIf(operations: readonly ConditionalOperation[]): Promise<boolean> {
    const [first] = operations
    if (first === undefined) return true
    const statements = operations.map((operation) => of(operation.table).writeIf(operation))
    checkTogether(operations)
    const partition = of(first.table).partitionText(keyOf(first))
    return turns.take(partition, () => session.writeIf(statements))
  }

  function checkTogether(operations: readonly ConditionalOperation[]): void {
    if (operations.length < 2) return
    const rows = new Set(operations.map((each) => of(each.table).rowText(keyOf(each))))
    const partitions = new Set(operations.map((each) => of(each.table).partitionText(keyOf(each))))
    if (partitions.size > 1) {
      throw new TypeError('conditional writes that go together lie in one partition of one table')
    }
    if (rows.size < operations.length) {
      throw new TypeError('conditional writes that go together name different rows')
    }
  }

  return {
    async open(opened) {
      const added = opened.map((table) => tableStatements(options.keyspace, table))
      await waitFor(options, async () => {
        const missing = await missingOf(
          session,
          options.keyspace,
          added.map(({ schema }) => schema),
        )
        if (missing !== undefined) {
          throw new Unavailable(`the schema is not ready: ${missing}; run cassandra-migrations`)
        }
      })
      for (const table of added) tables.set(table.schema.name, table)
    },

    async get(table, key, { isSerial } = {}) {
      const statements = of(table)
      const [raw] = await session.read(statements.get(key), { isSerial })
      return raw && (statements.decode(raw) as Row<typeof table> | undefined)
    },
    async list(table, partition, listOptions = {}) {
      const statements = of(table)
      return page(statements, statements.list(partition, listOptions), listOptions.isSerial)
    },
    async listEach(table, partitions) {
      const statements = of(table)
      const found = new Map<string, Row<typeof table>[]>()
      const named = partitions.map((partition) => statements.partitionText(partition))
      // A partition that is named twice is read once.
      const wanted = [
        ...new Map(named.map((text, index) => [text, partitions[index] ?? {}])).values(),
      ]
      const reads: Promise<RawRow[]>[] = []
      for (let at = 0; at < wanted.length; at += partitionsAtOnce) {
        const some = wanted.slice(at, at + partitionsAtOnce)
        reads.push(session.read(statements.listEach(some, largestSmallPartition + 1)))
      }
      for (const raw of (await Promise.all(reads)).flat()) {
        const row = statements.decode(raw)
        if (row === undefined) continue
        const partition = statements.partitionText(row)
        const rows = found.get(partition) ?? []
        found.set(partition, rows)
        if (rows.push(row as Row<typeof table>) > largestSmallPartition) {
          throw noSmallPartition(table)
        }
      }
      return named.map((text) => found.get(text) ?? [])
    },
    async scan(table, scanOptions = {}) {
      const statements = of(table)
      return page(statements, statements.scan(scanOptions), false)
    },

    put: (table, row, given = {}) => write([{ kind: 'put', table, row, options: given }]),
    update: (table, key, changes, given = {}) =>
      write([{ kind: 'update', table, key, changes, options: given }]),
    remove: (table, key, given = {}) => write([{ kind: 'remove', table, key, options: given }]),
    removeRange: (table, partition, range = {}, given = {}) =>
      write([{ kind: 'removeRange', table, partition, range, options: given }]),
    batch: write,

    putIfAbsent: (table, row, given = {}) =>
      writeIf([{ kind: 'putIfAbsent', table, row, options: given }]),
    updateIf: (table, key, expected, changes, given = {}) =>
      writeIf([{ kind: 'updateIf', table, key, expected, changes, options: given }]),
    removeIf: (table, key, expected) => writeIf([{ kind: 'removeIf', table, key, expected }]),
    batchIf: writeIf,

    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  }
}

/** The first thing that these tables need and the cluster does not have. */
export async function missingOf(
  session: Session,
  keyspace: string,
  schemas: readonly TableSchema[],
): Promise<string | undefined> {
  const keyspaces = new Set(schemas.map(({ name }) => keyspaceOf(keyspace, name)))
  const columns = await readColumns(session, keyspaces)
  for (const schema of schemas) {
    const difference = differenceOf(schema, columns)
    if (difference !== undefined) return difference
  }
  return undefined
}

const keyOf = (operation: ConditionalOperation): object =>
  operation.kind === 'putIfAbsent' ? operation.row : operation.key

/** The last value of every statement that reads a part of a page is the number of rows. */
const countOf = ({ params }: Statement): number => params.at(-1)?.readInt32BE() ?? 0

/**
 * Conditional writes of one partition that race make each other begin anew; those of one process
 * take turns instead.
 */
function partitionTurns() {
  const last = new Map<string, Promise<unknown>>()
  return {
    async take<Result>(partition: string, work: () => Promise<Result>): Promise<Result> {
      const before = last.get(partition)
      const turn = before === undefined ? work() : before.then(work, work)
      last.set(partition, turn)
      try {
        return await turn
      } finally {
        if (last.get(partition) === turn) last.delete(partition)
      }
    },
  }
}
