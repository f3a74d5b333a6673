import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import type {
  AnyTable,
  ConditionalOperation,
  Operation,
  Page,
  Row,
  WideColumnStore,
} from '../../ports/wide-column.ts'
import { onlyPartitionKey } from '../../ports/table-layout.ts'
import { largestSmallPartition, noSmallPartition } from '../../ports/wide-column.ts'
import { isDamage } from './failure.ts'
import { readError } from './failure-error.ts'
import type { CommitHooks } from './group-commit.ts'
import { tableStatements } from './statements.ts'
import type { PageStatement, Statement, TableStatements } from './statements.ts'
import type { SqlValue } from './values.ts'
import { inlineWriter, threadWriter } from './writer.ts'

export interface SqliteOptions {
  /** A path, or `:memory:` for data that ends with the store. */
  file: string
  /** `full` (the default): what is answered is on disk. `off`: a power cut may lose and damage. */
  synchronous?: 'full' | 'off'
  /** Bytes of writes that may wait for the disk; beyond, writes are `Unavailable` at once. */
  largestWaitingBytes?: number
  /** Milliseconds since the epoch, for TTLs. */
  nowMs?: () => number
  /** For tests that fail, hold up or end the process around a commit. */
  hooks?: CommitHooks
  /** Called once: the file is damaged, and writes are `Unavailable` until somebody restores it. */
  onFatal?: (error: Error) => void
}

/**
 * A wide-column store in one file, for one process. One connection writes, in a thread of its own,
 * all writes that wait in one commit; reads use another connection on the calling thread, and see
 * every commit that was answered.
 */
export async function openSqlite(options: SqliteOptions): Promise<WideColumnStore> {
  const nowMs = options.nowMs ?? Date.now
  let isDamageReported = false
  const onFatal = (error: Error): void => {
    if (!isDamageReported) options.onFatal?.(error)
    isDamageReported = true
  }
  const settings = {
    file: options.file,
    synchronous: options.synchronous ?? 'full',
    largestWaitingBytes: options.largestWaitingBytes ?? 64 * 1024 * 1024,
    hooks: options.hooks ?? {},
    nowMs,
    onFatal,
  } as const
  const isInMemory = options.file === ':memory:'
  const inline = isInMemory ? await inlineWriter(settings) : undefined
  const writer = inline ?? (await threadWriter(settings))
  const reader = inline?.db ?? openReader(options.file)

  const tables = new Map<string, TableStatements>()
  const prepared = new Map<string, StatementSync>()

  function of(table: AnyTable): TableStatements {
    const statements = tables.get(table.name)
    if (!statements) throw new TypeError(`table ${table.name} was not opened`)
    return statements
  }

  function read({ sql, params }: Statement, table: TableStatements): SqlValue[][] {
    try {
      let statement = prepared.get(sql)
      if (!statement) {
        statement = reader.prepare(sql)
        statement.setReturnArrays(true)
        statement.setReadBigInts(table.hasBigints)
        prepared.set(sql, statement)
      }
      return statement.all(...params) as unknown as SqlValue[][]
    } catch (error) {
      if (isDamage(error)) onFatal(error as Error)
      throw readError(error)
    }
  }

  function page<T extends AnyTable>(
    table: TableStatements,
    statement: PageStatement,
  ): Page<Row<T>> {
    const found = read(statement, table)
    const rows = found.slice(0, statement.limit)
    const last = rows.at(-1)
    return {
      rows: rows.map((row) => table.decode(row) as Row<T>),
      ...(found.length > rows.length && last ? { next: statement.tokenAfter(last) } : {}),
    }
  }

  async function write(operations: readonly Operation[]): Promise<void> {
    const now = nowMs()
    const statements = operations.map((operation) => of(operation.table).write(operation, now))
    if (statements.length > 0) await writer.write(statements, { isConditional: false })
  }

  async function writeIf(operations: readonly ConditionalOperation[]): Promise<boolean> {
    const now = nowMs()
    const statements = operations.map((operation) => of(operation.table).writeIf(operation, now))
    if (operations.length > 1) checkTogether(operations)
    return statements.length === 0 || writer.write(statements, { isConditional: true })
  }

  function checkTogether(operations: readonly ConditionalOperation[]): void {
    const rows = new Set<string>()
    const partitions = new Set<string>()
    for (const operation of operations) {
      const key = operation.kind === 'putIfAbsent' ? operation.row : operation.key
      const table = of(operation.table)
      partitions.add(`${operation.table.name} ${table.partitionText(key)}`)
      rows.add(table.rowText(key))
    }
    if (partitions.size > 1) {
      throw new TypeError('conditional writes that go together lie in one partition of one table')
    }
    if (rows.size < operations.length) {
      throw new TypeError('conditional writes that go together name different rows')
    }
  }

  return {
    async open(opened) {
      const added = opened.map((table) => tableStatements(table))
      await writer.upgradeSchema(added.map(({ layout }) => layout))
      for (const table of added) tables.set(table.layout.name, table)
    },

    async get(table, key) {
      const statements = of(table)
      const [row] = read(statements.get(key, nowMs()), statements)
      return row && (statements.decode(row) as Row<typeof table>)
    },
    async list(table, partition, listOptions = {}) {
      const statements = of(table)
      return page(statements, statements.list(partition, listOptions, nowMs()))
    },
    async listEach(table, partitions) {
      const statements = of(table)
      onlyPartitionKey(statements.layout)
      return partitions.map((partition) => {
        const { rows, next } = page<typeof table>(
          statements,
          statements.list(partition, { limit: largestSmallPartition }, nowMs()),
        )
        if (next !== undefined) throw noSmallPartition(table)
        return rows
      })
    },
    async scan(table, scanOptions = {}) {
      const statements = of(table)
      return page(statements, statements.scan(scanOptions, nowMs()))
    },

    put: (table, row, writeOptions = {}) =>
      write([{ kind: 'put', table, row, options: writeOptions }]),
    update: (table, key, changes, writeOptions = {}) =>
      write([{ kind: 'update', table, key, changes, options: writeOptions }]),
    remove: (table, key) => write([{ kind: 'remove', table, key }]),
    removeRange: (table, partition, range = {}) =>
      write([{ kind: 'removeRange', table, partition, range }]),
    batch: write,

    putIfAbsent: (table, row, writeOptions = {}) =>
      writeIf([{ kind: 'putIfAbsent', table, row, options: writeOptions }]),
    updateIf: (table, key, expected, changes, writeOptions = {}) =>
      writeIf([{ kind: 'updateIf', table, key, expected, changes, options: writeOptions }]),
    removeIf: (table, key, expected) => writeIf([{ kind: 'removeIf', table, key, expected }]),
    batchIf: writeIf,

    async [Symbol.asyncDispose]() {
      // The writer is the last to close the file, and so moves the whole log into it.
      if (!isInMemory) reader.close()
      await writer.close()
    },
  }
}

const openReader = (file: string): DatabaseSync =>
  new DatabaseSync(file, { readOnly: true, timeout: 5000 })
