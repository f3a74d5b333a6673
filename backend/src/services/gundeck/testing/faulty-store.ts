import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import type {
  AnyTable,
  ConditionalOperation,
  Operation,
  WideColumnStore,
} from '../../../ports/wide-column.ts'

/**
 * What befalls one write: `refused` is not done and says so; `lost` is not done and `landed` is, and
 * neither says; `late` is done when the test says so.
 */
export type Fault = 'refused' | 'lost' | 'landed' | { readonly late: Promise<void> }

export interface FaultyStore extends WideColumnStore {
  /** Asked before each write, with the name of its first table. */
  fault: (tableName: string) => Fault | undefined
  /** Asked before each read; true fails it. */
  failRead: (tableName: string) => boolean
  /** Writes and reads by table name, since the start. */
  readonly counts: Map<string, number>
}

/** A store that fails when a test wants it to, over one that does not. */
export function faultyStore(store: WideColumnStore): FaultyStore {
  const counts = new Map<string, number>()

  async function write<T>(table: AnyTable | undefined, done: () => Promise<T>): Promise<T> {
    const name = table?.name ?? ''
    counts.set(name, (counts.get(name) ?? 0) + 1)
    const fault = faulty.fault(name)
    if (fault === undefined) return done()
    if (fault === 'refused') throw new Unavailable('the test refuses writes')
    if (fault === 'landed') await done()
    // A line that is cut by then swallows it.
    if (typeof fault === 'object') fault.late.then(done).catch(() => undefined)
    throw new UnknownOutcome('the test keeps the answer')
  }

  async function read<T>(table: AnyTable, done: () => Promise<T>): Promise<T> {
    if (faulty.failRead(table.name)) throw new Unavailable('the test refuses reads')
    return done()
  }

  const tableOf = (operations: readonly (Operation | ConditionalOperation)[]) =>
    operations[0]?.table

  const faulty: FaultyStore = {
    fault: () => undefined,
    failRead: () => false,
    counts,
    open: (tables) => store.open(tables),
    get: (table, key, options) => read(table, () => store.get(table, key, options)),
    listEach: (table, partitions) => read(table, () => store.listEach(table, partitions)),
    list: (table, partition, options) => read(table, () => store.list(table, partition, options)),
    scan: (table, options) => read(table, () => store.scan(table, options)),
    put: (table, row, options) => write(table, () => store.put(table, row, options)),
    update: (table, key, changes, options) =>
      write(table, () => store.update(table, key, changes, options)),
    remove: (table, key, options) => write(table, () => store.remove(table, key, options)),
    removeRange: (table, partition, range, options) =>
      write(table, () => store.removeRange(table, partition, range, options)),
    batch: (operations) => write(tableOf(operations), () => store.batch(operations)),
    putIfAbsent: (table, row, options) =>
      write(table, () => store.putIfAbsent(table, row, options)),
    updateIf: (table, key, expected, changes) =>
      write(table, () => store.updateIf(table, key, expected, changes)),
    removeIf: (table, key, expected) => write(table, () => store.removeIf(table, key, expected)),
    batchIf: (operations) => write(tableOf(operations), () => store.batchIf(operations)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
  return faulty
}
