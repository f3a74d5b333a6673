import { MalformedPage } from '../../ports/wide-column.ts'
import type {
  AnyTable,
  ConditionalOperation,
  ListOptions,
  Operation,
  Range,
} from '../../ports/wide-column.ts'
import { decodePosition, encodePosition } from '../../ports/position-token.ts'
import { allOf, keysOf, layoutOf, onlyPartitionKey, quote } from '../../ports/table-layout.ts'
import type { ColumnLayout } from '../../ports/table-layout.ts'
import { existsColumn, qualifiedName, touchedColumn } from './schema.ts'
import type { TableSchema } from './schema.ts'
import { decodeValue, encodeValue, int, list, long } from './values.ts'
import type { CqlValue } from './values.ts'

export interface Statement {
  readonly query: string
  readonly params: CqlValue[]
}

/** A row as the driver gives it: by column name. */
export type RawRow = Readonly<Record<string, unknown>>

/** Reads a page in pieces: rows that do not exist for readers must not shorten it. */
export interface PageQuery {
  /** Rows of a page. */
  readonly limit: number
  /** From the start or behind a row, at most so many; several reads follow one another. */
  after(row: RawRow | undefined, count: number): Statement[]
  tokenAfter(row: RawRow): string
}

/** The statements of one table. Whatever a caller got wrong is a `TypeError` that names the table. */
export interface TableStatements {
  readonly schema: TableSchema
  /** @param writtenAtMicros For operations that carry none of their own. */
  write(operation: Operation, writtenAtMicros: bigint): Statement
  writeIf(operation: ConditionalOperation): Statement
  get(key: object): Statement
  list(partition: object, options: ListOptions<AnyTable>): PageQuery
  /** Of each at most so many rows. */
  listEach(partitions: readonly object[], limit: number): Statement
  scan(options: { limit?: number; page?: string | undefined }): PageQuery
  /** Undefined for what is no row to readers. */
  decode(row: RawRow): object | undefined
  /** Same text for the same partition. */
  partitionText(key: object): string
  rowText(key: object): string
}

type Values = Readonly<Record<string, unknown>>

const defaultLimit = 1000
const largestTtlSeconds = 20 * 365 * 24 * 3600
const boundSigns = { after: '>', from: '>=', to: '<=', before: '<' } as const
type BoundName = keyof typeof boundSigns

export function tableStatements(keyspace: string, table: AnyTable): TableStatements {
  const schema: TableSchema = { ...layoutOf(table), writes: table.writes }
  const { partition, cluster, columns } = schema
  const keys = keysOf(schema)
  const all = allOf(schema)
  const name = qualifiedName(keyspace, schema.name)
  const required = columns.filter(({ isOptional }) => !isOptional)
  const isConditional = table.writes === 'conditional'
  const selected = all.map(({ name: column }) => quote(column))
  if (isConditional) selected.push(existsColumn)
  const select = `SELECT ${selected.join(', ')} FROM ${name}`
  const keysText = equal(keys)
  const partitionTextCql = equal(partition)
  const tokenText = `token(${names(partition)})`

  function encode(column: ColumnLayout, value: unknown): CqlValue {
    if (value === undefined || value === null) {
      if (column.isOptional) return null
      throw new TypeError(`${schema.name}.${column.name}: a value is required`)
    }
    try {
      return encodeValue(column.type, value)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : 'not a value'
      throw new TypeError(`${schema.name}.${column.name}: ${reason}`, { cause })
    }
  }

  const encodeAll = (of: readonly ColumnLayout[], values: object): CqlValue[] =>
    of.map((column) => encode(column, (values as Values)[column.name]))

  /** The columns that an object names, in the order of the declaration. */
  function named(values: object): ColumnLayout[] {
    const given = Object.keys(values)
    const unknown = given.find((key) => !columns.some((column) => column.name === key))
    if (unknown !== undefined) throw new TypeError(`${schema.name}: no column '${unknown}'`)
    return columns.filter((column) => given.includes(column.name))
  }

  /** Zero is none, whatever the table's own default. */
  function ttl(options: { ttlSeconds?: number } | undefined): Buffer {
    const ttlSeconds = options?.ttlSeconds
    if (ttlSeconds === undefined) return int(0)
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > largestTtlSeconds) {
      throw new TypeError(`${schema.name}: a TTL is 1 to ${largestTtlSeconds} whole seconds`)
    }
    return int(ttlSeconds)
  }

  /** An insert also makes a row of what is only given a key, as an update would not. */
  function insert(given: readonly ColumnLayout[]): string {
    const targets = [...keys, ...given]
    const places = targets.map(() => '?').join(', ')
    return `INSERT INTO ${name} (${names(targets)}) VALUES (${places}) USING TTL ? AND TIMESTAMP ?`
  }

  function put(row: object, options: Operation['options'], micros: bigint): Statement {
    const values = encodeAll(columns, row)
    // A row of a queue is written once: nothing is there that "no value" would have to remove, and
    // readers need not step over what says so.
    const given =
      table.shape === 'queue' ? columns.filter((_, index) => values[index] !== null) : columns
    return {
      query: insert(given),
      params: [
        ...encodeAll(keys, row),
        ...(table.shape === 'queue' ? values.filter((value) => value !== null) : values),
        ttl(options),
        long(micros),
      ],
    }
  }

  function update(
    { key, changes, options }: Operation & { kind: 'update' },
    micros: bigint,
  ): Statement {
    if (table.shape === 'queue') {
      throw new TypeError(`${schema.name} is a queue: its rows are never changed`)
    }
    const changed = named(changes)
    return {
      query: insert(changed),
      params: [...encodeAll(keys, key), ...encodeAll(changed, changes), ttl(options), long(micros)],
    }
  }

  function putIfAbsent({
    row,
    options,
  }: ConditionalOperation & { kind: 'putIfAbsent' }): Statement {
    // Every column is given: what outlived the rest of an expired row must not show up again.
    const set = [`${existsColumn} = true`, ...columns.map((column) => `${quote(column.name)} = ?`)]
    return {
      query: `UPDATE ${name} USING TTL ? SET ${set.join(', ')} WHERE ${keysText} IF ${existsColumn} = null`,
      params: [ttl(options), ...encodeAll(columns, row), ...encodeAll(keys, row)],
    }
  }

  function updateIf({
    key,
    expected,
    changes,
    options,
  }: ConditionalOperation & { kind: 'updateIf' }): Statement {
    const changed = named(changes)
    const condition = matching(expected)
    const set =
      changed.length === 0
        ? [`${touchedColumn} = null`]
        : changed.map((column) => `${quote(column.name)} = ?`)
    return {
      query: `UPDATE ${name} USING TTL ? SET ${set.join(', ')} WHERE ${keysText} IF ${condition.query}`,
      params: [
        ttl(options),
        ...encodeAll(changed, changes),
        ...encodeAll(keys, key),
        ...condition.params,
      ],
    }
  }

  function removeIf({ key, expected }: ConditionalOperation & { kind: 'removeIf' }): Statement {
    const condition = matching(expected)
    return {
      query: `DELETE FROM ${name} WHERE ${keysText} IF ${condition.query}`,
      params: [...encodeAll(keys, key), ...condition.params],
    }
  }

  function matching(expected: object): Statement {
    const compared = named(expected)
    return {
      query: [`${existsColumn} = true`, ...compared.map((c) => `${quote(c.name)} = ?`)].join(
        ' AND ',
      ),
      // A required column that is expected to have no value is a condition that never holds.
      params: compared.map((column) => {
        const value = (expected as Values)[column.name]
        return value === undefined ? null : encode(column, value)
      }),
    }
  }

  /** The clustering keys that a prefix fixes, those it leaves open, and bounds on the first of these. */
  function within(range: Range<AnyTable>) {
    const prefix: Values = range.prefix ?? {}
    const given = Object.keys(prefix).filter((key) => prefix[key] !== undefined)
    const fixed = cluster.slice(0, given.length)
    const open = cluster.slice(given.length)
    if (fixed.some((key) => !given.includes(key.name))) {
      throw new TypeError(`${schema.name}: a prefix names the first clustering keys`)
    }
    const bounds: { sign: string; value: CqlValue }[] = []
    for (const bound of Object.keys(boundSigns) as BoundName[]) {
      const value = range[bound]
      if (value === undefined) continue
      const [next] = open
      if (!next) throw new TypeError(`${schema.name}: no clustering key is left for '${bound}'`)
      bounds.push({ sign: boundSigns[bound], value: encode(next, value) })
    }
    return { fixed, open, prefix: encodeAll(fixed, prefix), bounds }
  }

  function whereWithin({ fixed, open, prefix, bounds }: ReturnType<typeof within>): Statement {
    const conditions = fixed.map((key) => `${quote(key.name)} = ?`)
    for (const { sign } of bounds) conditions.push(`${quote(open[0]?.name ?? '')} ${sign} ?`)
    return {
      query: conditions.map((condition) => ` AND ${condition}`).join(''),
      params: [...prefix, ...bounds.map(({ value }) => value)],
    }
  }

  function removeRange(
    { partition: of, range }: Operation & { kind: 'removeRange' },
    micros: bigint,
  ): Statement {
    const where = whereWithin(within(range))
    return {
      query: `DELETE FROM ${name} USING TIMESTAMP ? WHERE ${partitionTextCql}${where.query}`,
      params: [long(micros), ...encodeAll(partition, of), ...where.params],
    }
  }

  /**
   * Behind a row, within a range. The bounds of one side are tuples over all clustering keys then:
   * the row is always the tighter bound of its side, and the other side keeps its own.
   */
  function whereBehind(
    { fixed, open, prefix, bounds }: ReturnType<typeof within>,
    row: readonly CqlValue[],
    isDescending: boolean,
  ): Statement {
    const conditions = [` AND (${names(cluster)}) ${isDescending ? '<' : '>'} (${places(cluster)})`]
    const params = [...prefix, ...row]
    const other = bounds.find(({ sign }) => sign.startsWith(isDescending ? '>' : '<'))
    const [next] = open
    if (other !== undefined && next !== undefined) {
      const bounded = [...fixed, next]
      conditions.push(` AND (${names(bounded)}) ${other.sign} (${places(bounded)})`)
      params.push(...prefix, other.value)
    } else if (fixed.length > 0) {
      conditions.push(` AND (${names(fixed)}) ${isDescending ? '>=' : '<='} (${places(fixed)})`)
      params.push(...prefix)
    }
    return { query: conditions.join(''), params }
  }

  function checkedLimit(limit = defaultLimit): number {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new TypeError(`${schema.name}: a page has at least one row`)
    }
    return limit
  }

  const decoded = (of: readonly ColumnLayout[], row: RawRow): unknown[] =>
    of.map(({ name: column, type }) => decodeValue(type, row[column]))
  const keysIn = (of: readonly ColumnLayout[], row: RawRow): Values =>
    Object.fromEntries(of.map(({ name: column, type }) => [column, decodeValue(type, row[column])]))

  function decode(row: RawRow): object | undefined {
    if (isConditional && row['_row'] !== true) return undefined
    if (required.some(({ name: column }) => row[column] === null)) return undefined
    const values: Record<string, unknown> = {}
    for (const { name: column, type } of all) {
      const value = row[column]
      if (value !== null && value !== undefined) values[column] = decodeValue(type, value)
    }
    return values
  }

  return {
    schema,

    write(operation, writtenAtMicros) {
      if (table.writes !== 'plain') {
        throw new TypeError(`${schema.name} takes conditional writes only`)
      }
      const micros = operation.options?.writtenAtMicros ?? writtenAtMicros
      switch (operation.kind) {
        case 'put':
          return put(operation.row, operation.options, micros)
        case 'update':
          return update(operation, micros)
        case 'remove':
          return {
            query: `DELETE FROM ${name} USING TIMESTAMP ? WHERE ${keysText}`,
            params: [long(micros), ...encodeAll(keys, operation.key)],
          }
        case 'removeRange':
          return removeRange(operation, micros)
      }
    },

    writeIf(operation) {
      if (!isConditional) throw new TypeError(`${schema.name} takes plain writes only`)
      switch (operation.kind) {
        case 'putIfAbsent':
          return putIfAbsent(operation)
        case 'updateIf':
          return updateIf(operation)
        case 'removeIf':
          return removeIf(operation)
      }
    },

    get: (key) => ({ query: `${select} WHERE ${keysText}`, params: encodeAll(keys, key) }),

    list(partitionKey, options) {
      const limit = checkedLimit(options.limit)
      const range = within(options)
      const isDescending = options.order === 'descending'
      const partitionValues = encodeAll(partition, partitionKey)
      const where = whereWithin(range)
      const query = `${name} ${isDescending ? '<' : '>'}${where.query} ${textOf([...partitionValues, ...where.params])}`
      const order = isDescending
        ? ` ORDER BY ${cluster.map((key) => `${quote(key.name)} DESC`).join(', ')}`
        : ''
      const from =
        options.page === undefined
          ? undefined
          : decodePosition(
              query,
              range.open.map(({ type }) => type),
              options.page,
              encodeValue,
            )
      // A query without open keys has one row and no second page.
      if (from !== undefined && range.open.length === 0) throw new MalformedPage()
      return {
        limit,
        after(row, count) {
          const position = row === undefined ? from : encodeAll(range.open, keysIn(range.open, row))
          if (position !== undefined && range.open.length === 0) return []
          const part = position === undefined ? where : whereBehind(range, position, isDescending)
          return [
            {
              query: `${select} WHERE ${partitionTextCql}${part.query}${cluster.length > 0 ? order : ''} LIMIT ?`,
              params: [...partitionValues, ...part.params, int(count)],
            },
          ]
        },
        tokenAfter: (row) => encodePosition(query, decoded(range.open, row)),
      }
    },

    listEach(partitions, limit) {
      const key = onlyPartitionKey(schema)
      const values = partitions.flatMap((each) => encodeAll([key], each))
      return {
        query: `${select} WHERE ${quote(key.name)} IN ? PER PARTITION LIMIT ?`,
        params: [list(values), int(limit)],
      }
    },

    scan(options) {
      const limit = checkedLimit(options.limit)
      const from =
        options.page === undefined
          ? undefined
          : decodePosition(
              name,
              keys.map(({ type }) => type),
              options.page,
              encodeValue,
            )
      return {
        limit,
        after(row, count) {
          const position = row === undefined ? from : encodeAll(keys, keysIn(keys, row))
          if (position === undefined) return [{ query: `${select} LIMIT ?`, params: [int(count)] }]
          const partitionValues = position.slice(0, partition.length)
          const others = {
            query: `${select} WHERE ${tokenText} > token(${places(partition)}) LIMIT ?`,
            params: [...partitionValues, int(count)],
          }
          if (cluster.length === 0) return [others]
          const rest = {
            query: `${select} WHERE ${partitionTextCql} AND (${names(cluster)}) > (${places(cluster)}) LIMIT ?`,
            params: [...position, int(count)],
          }
          return [rest, others]
        },
        tokenAfter: (row) => encodePosition(name, decoded(keys, row)),
      }
    },

    decode,
    partitionText: (key) => `${schema.name} ${textOf(encodeAll(partition, key))}`,
    rowText: (key) => textOf(encodeAll(keys, key)),
  }
}

const names = (columns: readonly ColumnLayout[]): string =>
  columns.map((column) => quote(column.name)).join(', ')
const places = (columns: readonly ColumnLayout[]): string => columns.map(() => '?').join(', ')
const equal = (columns: readonly ColumnLayout[]): string =>
  columns.map((column) => `${quote(column.name)} = ?`).join(' AND ')

const textOf = (values: readonly CqlValue[]): string =>
  values.map((value) => value?.toString('base64') ?? '-').join(' ')
