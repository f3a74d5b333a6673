/**
 * What a wide-column store can do, and no more: rows live in partitions, ordered by clustering keys;
 * reads name a partition; conditional writes touch one partition. There are no joins, no secondary
 * indexes and no transactions over several partitions.
 *
 * Every write is durable when its promise resolves. A dependency that is down rejects with
 * `Unavailable`; a write that may or may not have landed rejects with `UnknownOutcome`.
 */

/**
 * Values as the domain sees them: `timestamp` is milliseconds since the epoch, `uuid` lower case.
 * As keys they sort by value; `timeuuid` by its time, and of one time in no defined order; `text` by
 * code point. A text that is the only partition key is not empty.
 */
interface ValueOf {
  text: string
  uuid: string
  timeuuid: string
  int: number
  bigint: bigint
  boolean: boolean
  blob: Uint8Array
  timestamp: number
}

export type ColumnType = keyof ValueOf
type ColumnSpec = ColumnType | `${ColumnType}?`

declare const valueType: unique symbol
/** A column whose values carry a narrower type than the store knows, such as a branded id. */
interface TypedColumn<Spec extends ColumnSpec, Value> {
  readonly spec: Spec
  readonly [valueType]?: Value
}

/** `of<UserId>()('uuid')`: a uuid column that reads and writes `UserId`. */
export const of =
  <Value extends string | number | bigint | Uint8Array>() =>
  <Spec extends ColumnSpec>(spec: Spec): TypedColumn<Spec, Value> => ({ spec })

export type Column = ColumnSpec | TypedColumn<ColumnSpec, unknown>
export type Columns = Readonly<Record<string, Column>>

type SpecOf<C> = C extends ColumnSpec ? C : C extends TypedColumn<infer S, unknown> ? S : never
type Base<S> = S extends `${infer T}?` ? T : S
type Plain<C> =
  C extends TypedColumn<ColumnSpec, infer V>
    ? V
    : Base<SpecOf<C>> extends ColumnType
      ? ValueOf[Base<SpecOf<C>>]
      : never
type OptionalNames<C extends Columns> = {
  [K in keyof C]: SpecOf<C[K]> extends `${string}?` ? K : never
}[keyof C]

/** Optional columns (`'text?'`) are absent (`undefined`), never null. */
export type ValuesOf<C extends Columns> = {
  [K in Exclude<keyof C, OptionalNames<C>>]: Plain<C[K]>
} & { [K in OptionalNames<C>]?: Plain<C[K]> | undefined }

export interface Table<
  P extends Columns = Columns,
  K extends Columns = Columns,
  C extends Columns = Columns,
> {
  /** `<service>_<noun>`, unique in the store. */
  readonly name: string
  readonly partition: P
  /** Clustering keys, outermost first, ascending. */
  readonly cluster: K
  readonly columns: C
  /**
   * `conditional`: rows are only ever written by `putIfAbsent`, `updateIf`, `removeIf` and
   * `batchIf`, because mixing them with plain writes breaks last-write-wins in such stores.
   */
  readonly writes: 'plain' | 'conditional'
  /**
   * What the rows go through, for stores that lay them out or clean up by it.
   * - `rows`: written, changed and removed one by one.
   * - `queue`: appended in key order, read forwards and removed by ranges. A row is never changed,
   *   so there is no `update`, and a second `put` of a row repeats the first.
   * - `worklist`: few rows at any time, which come, are found by `scan`, and go again.
   */
  readonly shape: 'rows' | 'queue' | 'worklist'
}

/** Declares a table; `writes` is `plain` and `shape` is `rows` unless said otherwise. */
export function table<
  const P extends Columns,
  const K extends Columns,
  const C extends Columns,
>(declaration: {
  name: string
  partition: P
  cluster: K
  columns: C
  writes?: 'plain' | 'conditional'
  shape?: Table['shape']
}): Table<P, K, C> {
  return { writes: 'plain', shape: 'rows', ...declaration }
}

/** The type and optionality behind a column declaration. */
export function columnSpec(column: Column): { type: ColumnType; isOptional: boolean } {
  const spec = typeof column === 'string' ? column : column.spec
  const isOptional = spec.endsWith('?')
  return { type: (isOptional ? spec.slice(0, -1) : spec) as ColumnType, isOptional }
}

/**
 * The declaration's own types flow through `Table<P, K, C>`; `AnyTable` is for code that moves rows
 * without looking into them.
 */
export type AnyTable = Table
export type Partition<T extends AnyTable> = ValuesOf<T['partition']>
export type Key<T extends AnyTable> = ValuesOf<T['partition']> & ValuesOf<T['cluster']>
export type Row<T extends AnyTable> = Key<T> & ValuesOf<T['columns']>
/** Some columns; one given as `undefined` is removed. */
export type Changes<T extends AnyTable> = {
  [K in keyof ValuesOf<T['columns']>]?: ValuesOf<T['columns']>[K] | undefined
}
/** What columns must hold for a conditional write; `undefined` means "has no value". */
export type Expected<T extends AnyTable> = Changes<T>

export interface WriteOptions {
  /**
   * The whole row vanishes after this long. An update of a row with a TTL gives what is left of it,
   * an update of a row without gives none: anything else would let a part of a row vanish.
   */
  ttlSeconds?: number
  /**
   * Microseconds since the epoch by the caller's clock, for stores that resolve by last write.
   * Callers give rising times for one row; an adapter with one writer may ignore them.
   */
  writtenAtMicros?: bigint
}

/** A stretch of a partition by a prefix of its clustering keys and bounds on the next key. */
export interface Range<T extends AnyTable> {
  /** Equal on these leading clustering keys. */
  prefix?: Partial<ValuesOf<T['cluster']>>
  /** Bounds on the first clustering key after the prefix. */
  after?: string | number | bigint
  from?: string | number | bigint
  to?: string | number | bigint
  before?: string | number | bigint
}

export interface ListOptions<T extends AnyTable> extends Range<T> {
  order?: 'ascending' | 'descending'
  /** See `ReadOptions`. */
  isSerial?: boolean
  /** Rows in a page, at most; 1000 unless given. */
  limit?: number
  /** The token of the page before, as that page returned it. */
  page?: string | undefined
}

export interface Page<R> {
  rows: R[]
  /** Present when there may be more; opaque, and valid only for the same query. */
  next?: string
}

/** A page token that this store did not make. Tokens pass through clients, so this can happen. */
export class MalformedPage extends Error {
  constructor(options: { cause?: unknown } = {}) {
    super('the page token is not valid', options)
    this.name = 'MalformedPage'
  }
}

export type Operation =
  | { kind: 'put'; table: AnyTable; row: object; options?: WriteOptions }
  | { kind: 'update'; table: AnyTable; key: object; changes: object; options?: WriteOptions }
  | { kind: 'remove'; table: AnyTable; key: object; options?: WriteOptions }
  | {
      kind: 'removeRange'
      table: AnyTable
      partition: object
      range: object
      options?: WriteOptions
    }

export type ConditionalOperation =
  | { kind: 'putIfAbsent'; table: AnyTable; row: object; options?: WriteOptions }
  | {
      kind: 'updateIf'
      table: AnyTable
      key: object
      expected: object
      changes: object
      options?: WriteOptions
    }
  | { kind: 'removeIf'; table: AnyTable; key: object; expected: object }

/** Builders that keep the table's types, for `batch` and `batchIf`. */
export const put = <T extends AnyTable>(
  of: T,
  row: Row<T>,
  options: WriteOptions = {},
): Operation => ({ kind: 'put', table: of, row, options })
export const update = <T extends AnyTable>(
  of: T,
  key: Key<T>,
  changes: Changes<T>,
  options: WriteOptions = {},
): Operation => ({ kind: 'update', table: of, key, changes, options })
export const remove = <T extends AnyTable>(
  of: T,
  key: Key<T>,
  options: WriteOptions = {},
): Operation => ({ kind: 'remove', table: of, key, options })
export const removeRange = <T extends AnyTable>(
  of: T,
  partition: Partition<T>,
  range: Range<T> = {},
  options: WriteOptions = {},
): Operation => ({ kind: 'removeRange', table: of, partition, range, options })
export const putIfAbsent = <T extends AnyTable>(
  of: T,
  row: Row<T>,
  options: WriteOptions = {},
): ConditionalOperation => ({ kind: 'putIfAbsent', table: of, row, options })
export const updateIf = <T extends AnyTable>(
  of: T,
  key: Key<T>,
  expected: Expected<T>,
  changes: Changes<T>,
  options: WriteOptions = {},
): ConditionalOperation => ({ kind: 'updateIf', table: of, key, expected, changes, options })
export const removeIf = <T extends AnyTable>(
  of: T,
  key: Key<T>,
  expected: Expected<T>,
): ConditionalOperation => ({ kind: 'removeIf', table: of, key, expected })

export interface ReadOptions {
  /**
   * Every read sees what was answered before it began: reads and writes meet in a majority of
   * replicas, and a conditional write that was answered with true counts like any other.
   *
   * A serial read also settles what was *not* answered: a conditional write of unknown outcome, or
   * one still on its way, has either happened for this and every later read of the partition, or
   * will never happen. So it tells what became of one's own `UnknownOutcome`, and is what a decision
   * rests on that a racing write could contradict. It costs several times a plain read, and
   * conditional writes of the same partition wait for it.
   */
  isSerial?: boolean
}

/** Rows of a partition that `listEach` reads whole. */
export const largestSmallPartition = 1000

export const noSmallPartition = (table: AnyTable): RangeError =>
  new RangeError(`${table.name}: a partition has more than ${largestSmallPartition} rows`)

export interface WideColumnStore extends AsyncDisposable {
  /**
   * Makes sure the tables exist, or waits until they do where that is the work of a job; called once
   * per service before anything else.
   */
  open(tables: readonly AnyTable[]): Promise<void>

  get<T extends AnyTable>(table: T, key: Key<T>, options?: ReadOptions): Promise<Row<T> | undefined>
  list<T extends AnyTable>(
    table: T,
    partition: Partition<T>,
    options?: ListOptions<T>,
  ): Promise<Page<Row<T>>>
  /**
   * All rows of several partitions that are known to be small, as one request of a caller: for each
   * partition its rows, in the order in which they were named. The partition key is one column. More
   * than `largestSmallPartition` rows in one are a `RangeError`.
   */
  listEach<T extends AnyTable>(
    table: T,
    partitions: readonly Partition<T>[],
  ): Promise<readonly (readonly Row<T>[])[]>
  /** Every row of the table, partition by partition in no order: for jobs, never for requests. */
  scan<T extends AnyTable>(
    table: T,
    options?: { limit?: number; page?: string | undefined },
  ): Promise<Page<Row<T>>>

  /** Writes the whole row, replacing what was there. */
  put<T extends AnyTable>(table: T, row: Row<T>, options?: WriteOptions): Promise<void>
  /**
   * Writes some columns; makes the row if it is absent. A row in which a required column has no
   * value does not exist for readers, so an update cannot bring half of a removed row back.
   */
  update<T extends AnyTable>(
    table: T,
    key: Key<T>,
    changes: Changes<T>,
    options?: WriteOptions,
  ): Promise<void>
  remove<T extends AnyTable>(table: T, key: Key<T>, options?: WriteOptions): Promise<void>
  removeRange<T extends AnyTable>(
    table: T,
    partition: Partition<T>,
    range?: Range<T>,
    options?: WriteOptions,
  ): Promise<void>
  /**
   * All or none. Within one partition readers see it whole; over several partitions they may see a
   * part for a moment. The order of operations on one row is not defined.
   */
  batch(operations: readonly Operation[]): Promise<void>

  /** True when the row was absent and is now written. Of racing callers exactly one wins. */
  putIfAbsent<T extends AnyTable>(table: T, row: Row<T>, options?: WriteOptions): Promise<boolean>
  /**
   * True when the row existed with exactly these values and is now changed. Without changes it only
   * states a condition, for `batchIf`.
   */
  updateIf<T extends AnyTable>(
    table: T,
    key: Key<T>,
    expected: Expected<T>,
    changes: Changes<T>,
    options?: WriteOptions,
  ): Promise<boolean>
  removeIf<T extends AnyTable>(table: T, key: Key<T>, expected: Expected<T>): Promise<boolean>
  /**
   * Several conditional writes to different rows in one partition of one table: all hold and all
   * apply, or none.
   */
  batchIf(operations: readonly ConditionalOperation[]): Promise<boolean>
}
