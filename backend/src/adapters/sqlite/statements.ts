import { MalformedPage } from '../../ports/wide-column.ts'
import type {
  AnyTable,
  ConditionalOperation,
  ListOptions,
  Operation,
  Range,
} from '../../ports/wide-column.ts'
import { allOf, keysOf, layoutOf, quote } from '../../ports/table-layout.ts'
import type { ColumnLayout, TableLayout } from '../../ports/table-layout.ts'
import { expiryColumn } from './layout.ts'
import { decodePosition, encodePosition } from './page-token.ts'
import { decodeValue, encodeValue } from './values.ts'
import type { SqlValue } from './values.ts'

export interface Statement {
  sql: string
  params: SqlValue[]
}

export interface PageStatement extends Statement {
  /** One more row than this is asked for, to know whether there is another page. */
  limit: number
  /** The token of the page that ends with this row. */
  tokenAfter(row: readonly SqlValue[]): string
}

/** The statements of one table. Whatever a caller got wrong is a `TypeError` that names the table. */
export interface TableStatements {
  readonly layout: TableLayout
  readonly hasBigints: boolean
  write(operation: Operation, nowMs: number): Statement
  /** Changes exactly one row if the condition holds, none if not. */
  writeIf(operation: ConditionalOperation, nowMs: number): Statement
  get(key: object, nowMs: number): Statement
  list(partition: object, options: ListOptions<AnyTable>, nowMs: number): PageStatement
  scan(options: { limit?: number; page?: string | undefined }, nowMs: number): PageStatement
  /** A row as `get`, `list` and `scan` select it. */
  decode(row: readonly SqlValue[]): object
  /** Same text for the same partition. */
  partitionText(key: object): string
  rowText(key: object): string
}

type Values = Readonly<Record<string, unknown>>

const defaultLimit = 1000
const largestTtlSeconds = 20 * 365 * 24 * 3600
const boundSigns = { after: '>', from: '>=', to: '<=', before: '<' } as const

export function tableStatements(table: AnyTable): TableStatements {
  const layout = layoutOf(table)
  const { partition, cluster, columns } = layout
  const keys = keysOf(layout)
  const all = allOf(layout)
  const name = quote(layout.name)
  const texts = new Map<string, string>()

  const isLive = `(${expiryColumn} IS NULL OR ${expiryColumn} > ?)`
  // `update` makes rows; one that still lacks a required column does not exist for readers.
  const isWhole =
    table.writes === 'plain'
      ? columns
          .filter((column) => !column.isOptional)
          .map((c) => ` AND ${quote(c.name)} IS NOT NULL`)
      : []
  const isVisible = isLive + isWhole.join('')
  const selected = all.map((column) => quote(column.name)).join(', ')
  const insert = insertText(columns)
  const upsert = `${insert} ON CONFLICT (${names(keys)}) DO UPDATE SET ${[
    `${expiryColumn} = excluded.${expiryColumn}`,
    ...columns.map((column) => `${quote(column.name)} = excluded.${quote(column.name)}`),
  ].join(', ')}`
  const putIfAbsentText = `${upsert} WHERE ${name}.${expiryColumn} <= ?`
  const removeText = `DELETE FROM ${name} WHERE ${equal(keys)}`
  const getText = `SELECT ${selected} FROM ${name} WHERE ${equal(keys)} AND ${isVisible}`
  const scanText = `SELECT ${selected}, _rowid_ FROM ${name} WHERE _rowid_ > ? AND ${isVisible} ORDER BY _rowid_ LIMIT ?`

  /** Builds a text once for every shape of a statement. */
  function cached(key: string, build: () => string): string {
    let text = texts.get(key)
    if (text === undefined) texts.set(key, (text = build()))
    return text
  }

  function insertText(given: readonly ColumnLayout[]): string {
    const places = Array.from({ length: keys.length + 1 + given.length }, () => '?')
    const targets = [...keys.map((key) => quote(key.name)), expiryColumn]
    targets.push(...given.map((column) => quote(column.name)))
    return `INSERT INTO ${name} (${targets.join(', ')}) VALUES (${places.join(', ')})`
  }

  function encode(column: ColumnLayout, value: unknown): SqlValue {
    if (value === undefined || value === null) {
      if (column.isOptional) return null
      throw new TypeError(`${layout.name}.${column.name}: a value is required`)
    }
    try {
      return encodeValue(column.type, value)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : 'not a value'
      throw new TypeError(`${layout.name}.${column.name}: ${reason}`, { cause })
    }
  }

  const encodeAll = (of: readonly ColumnLayout[], values: object): SqlValue[] =>
    of.map((column) => encode(column, (values as Values)[column.name]))

  /** The columns that an object names, in the order of the declaration. */
  function named(values: object): ColumnLayout[] {
    const given = Object.keys(values)
    const unknown = given.find((key) => !columns.some((column) => column.name === key))
    if (unknown !== undefined) throw new TypeError(`${layout.name}: no column '${unknown}'`)
    return columns.filter((column) => given.includes(column.name))
  }

  function expiry(options: { ttlSeconds?: number } | undefined, nowMs: number): number | null {
    const ttlSeconds = options?.ttlSeconds
    if (ttlSeconds === undefined) return null
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > largestTtlSeconds) {
      throw new TypeError(`${layout.name}: a TTL is 1 to ${largestTtlSeconds} whole seconds`)
    }
    return nowMs + ttlSeconds * 1000
  }

  function update(
    key: object,
    changes: object,
    expiresMs: number | null,
    nowMs: number,
  ): Statement {
    const changed = named(changes)
    const sql = cached(`update ${names(changed)}`, () => {
      const now = `?${keys.length + 1 + changed.length + 1}`
      const isGone = `${name}.${expiryColumn} <= ${now}`
      const kept = columns.filter((column) => !changed.includes(column))
      return `${insertText(changed)} ON CONFLICT (${names(keys)}) DO UPDATE SET ${[
        ...changed.map((column) => `${quote(column.name)} = excluded.${quote(column.name)}`),
        ...kept.map(
          ({ name: k }) =>
            `${quote(k)} = CASE WHEN ${isGone} THEN NULL ELSE ${name}.${quote(k)} END`,
        ),
        `${expiryColumn} = CASE WHEN ${isGone}
           OR (${name}.${expiryColumn} IS NULL) = (excluded.${expiryColumn} IS NULL)
           THEN excluded.${expiryColumn} ELSE ${mixedTtl} END`,
      ].join(', ')}`
    })
    return {
      sql,
      params: [...encodeAll(keys, key), expiresMs, ...encodeAll(changed, changes), nowMs],
    }
  }

  function updateIf(
    { key, expected, changes, options }: ConditionalOperation & { kind: 'updateIf' },
    nowMs: number,
  ): Statement {
    const changed = named(changes)
    const condition = matching(key, expected, nowMs)
    if (changed.length === 0) {
      const sql = `UPDATE ${name} SET ${expiryColumn} = ${expiryColumn} WHERE ${condition.sql}`
      return { sql, params: condition.params }
    }
    const expiresMs = expiry(options, nowMs)
    const sql = cached(`updateIf ${names(changed)} ${condition.sql}`, () => {
      const set = changed.map((column) => `${quote(column.name)} = ?`)
      set.push(
        `${expiryColumn} = CASE WHEN (${expiryColumn} IS NULL) = (? IS NULL) THEN ? ELSE ${mixedTtl} END`,
      )
      return `UPDATE ${name} SET ${set.join(', ')} WHERE ${condition.sql}`
    })
    const values = encodeAll(changed, changes)
    return { sql, params: [...values, expiresMs, expiresMs, ...condition.params] }
  }

  function removeIf(
    { key, expected }: ConditionalOperation & { kind: 'removeIf' },
    nowMs: number,
  ): Statement {
    const condition = matching(key, expected, nowMs)
    return { sql: `DELETE FROM ${name} WHERE ${condition.sql}`, params: condition.params }
  }

  function matching(key: object, expected: object, nowMs: number): Statement {
    const compared = named(expected)
    const sql = cached(`matching ${names(compared)}`, () =>
      [equal(keys), isLive, ...compared.map((column) => `${quote(column.name)} IS ?`)].join(
        ' AND ',
      ),
    )
    // A required column that is expected to have no value is a condition that never holds.
    const values = compared.map((column) =>
      (expected as Values)[column.name] === undefined
        ? null
        : encode(column, (expected as Values)[column.name]),
    )
    return { sql, params: [...encodeAll(keys, key), nowMs, ...values] }
  }

  /** Conditions on clustering keys, and those keys that the prefix leaves open. */
  function within(range: Range<AnyTable>): Statement & { open: ColumnLayout[] } {
    const prefix: Values = range.prefix ?? {}
    const given = Object.keys(prefix).filter((key) => prefix[key] !== undefined)
    const fixed = cluster.slice(0, given.length)
    const open = cluster.slice(given.length)
    if (fixed.some((key) => !given.includes(key.name))) {
      throw new TypeError(`${layout.name}: a prefix names the first clustering keys`)
    }
    const conditions = fixed.map((key) => `${quote(key.name)} = ?`)
    const params = encodeAll(fixed, prefix)
    for (const [bound, sign] of Object.entries(boundSigns)) {
      const value = range[bound as keyof typeof boundSigns]
      if (value === undefined) continue
      const [next] = open
      if (!next) throw new TypeError(`${layout.name}: no clustering key is left for '${bound}'`)
      conditions.push(`${quote(next.name)} ${sign} ?`)
      params.push(encode(next, value))
    }
    return { sql: conditions.map((condition) => ` AND ${condition}`).join(''), params, open }
  }

  const decodeInto = (columnsOfRow: readonly ColumnLayout[], row: readonly SqlValue[]): object => {
    const decoded: Record<string, unknown> = {}
    for (const [index, column] of columnsOfRow.entries()) {
      const value = row[index]
      if (value !== null && value !== undefined) {
        decoded[column.name] = decodeValue(column.type, value)
      }
    }
    return decoded
  }

  return {
    layout,
    hasBigints: all.some((column) => column.type === 'bigint'),

    write(operation, nowMs) {
      if (table.writes !== 'plain') {
        throw new TypeError(`${layout.name} takes conditional writes only`)
      }
      switch (operation.kind) {
        case 'put': {
          const { row, options } = operation
          const values = encodeAll(columns, row)
          return {
            sql: upsert,
            params: [...encodeAll(keys, row), expiry(options, nowMs), ...values],
          }
        }
        case 'update': {
          const { key, changes, options } = operation
          if (table.shape === 'queue') {
            throw new TypeError(`${layout.name} is a queue: its rows are never changed`)
          }
          return update(key, changes, expiry(options, nowMs), nowMs)
        }
        case 'remove':
          return { sql: removeText, params: encodeAll(keys, operation.key) }
        case 'removeRange': {
          const range = within(operation.range)
          return {
            sql: `DELETE FROM ${name} WHERE ${equal(partition)}${range.sql}`,
            params: [...encodeAll(partition, operation.partition), ...range.params],
          }
        }
      }
    },

    writeIf(operation, nowMs) {
      if (table.writes !== 'conditional') {
        throw new TypeError(`${layout.name} takes plain writes only`)
      }
      switch (operation.kind) {
        case 'putIfAbsent': {
          const { row, options } = operation
          const values = encodeAll(columns, row)
          const expiresMs = expiry(options, nowMs)
          return {
            sql: putIfAbsentText,
            params: [...encodeAll(keys, row), expiresMs, ...values, nowMs],
          }
        }
        case 'updateIf':
          return updateIf(operation, nowMs)
        case 'removeIf':
          return removeIf(operation, nowMs)
      }
    },

    get: (key, nowMs) => ({ sql: getText, params: [...encodeAll(keys, key), nowMs] }),

    list(partitionKey, options, nowMs) {
      const limit = checkedLimit(options.limit)
      const range = within(options)
      const isDescending = options.order === 'descending'
      const params = [...encodeAll(partition, partitionKey), ...range.params]
      const query = `${name} ${isDescending ? '<' : '>'}${range.sql} ${textOf(params)}`
      let page = ''
      if (options.page !== undefined) {
        if (range.open.length === 0) throw new MalformedPage()
        const places = range.open.map(() => '?').join(', ')
        page = ` AND (${names(range.open)}) ${isDescending ? '<' : '>'} (${places})`
        params.push(...decodePosition(query, range.open, options.page))
      }
      const order = range.open.map(({ name: key }) => quote(key) + (isDescending ? ' DESC' : ''))
      const orderBy = order.length > 0 ? ` ORDER BY ${order.join(', ')}` : ''
      const first = all.length - columns.length - range.open.length
      return {
        sql:
          `SELECT ${selected} FROM ${name} WHERE ${equal(partition)}${range.sql}${page}` +
          ` AND ${isVisible}${orderBy} LIMIT ?`,
        params: [...params, nowMs, limit + 1],
        limit,
        tokenAfter: (row) => encodePosition(query, range.open, row.slice(first)),
      }
    },

    scan(options, nowMs) {
      const limit = checkedLimit(options.limit)
      const [after = 0] =
        options.page === undefined ? [] : decodePosition(name, [rowidColumn], options.page)
      return {
        sql: scanText,
        params: [after, nowMs, limit + 1],
        limit,
        tokenAfter: (row) => encodePosition(name, [rowidColumn], row.slice(all.length)),
      }
    },

    decode: (row) => decodeInto(all, row),
    partitionText: (key) => textOf(encodeAll(partition, key)),
    rowText: (key) => textOf(encodeAll(keys, key)),
  }

  function checkedLimit(limit = defaultLimit): number {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new TypeError(`${layout.name}: a page has at least one row`)
    }
    return limit
  }
}

/** No expiry, so the column's type refuses it: a row has a TTL as a whole or not at all. */
const mixedTtl = `'mixed'`

const rowidColumn: ColumnLayout = { name: '_rowid_', type: 'bigint', isOptional: false }

const names = (columns: readonly ColumnLayout[]): string =>
  columns.map((column) => quote(column.name)).join(', ')

const equal = (columns: readonly ColumnLayout[]): string =>
  columns.map((column) => `${quote(column.name)} = ?`).join(' AND ')

const textOf = (values: readonly SqlValue[]): string =>
  JSON.stringify(
    values.map((value) => {
      if (typeof value === 'bigint') return `${value}`
      return value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value
    }),
  )
