import { setImmediate as nextTurn } from 'node:timers/promises'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import {
  columnSpec,
  put,
  remove,
  type AnyTable,
  type Operation,
  type WideColumnStore,
} from '../../ports/wide-column.ts'

type Values = Readonly<Record<string, unknown>>

interface MergedRow {
  removedAtMicros: bigint
  readonly cells: Map<string, { readonly atMicros: bigint; readonly value: unknown }>
}

/**
 * A store as several processes see it: of each cell of a plain table the greatest write time wins,
 * whenever it arrives. Knows what galley's changes use, and insists that they name the time.
 */
export function lastWriteWins(db: WideColumnStore): WideColumnStore {
  const rows = new Map<string, MergedRow>()

  function merge(operation: Operation): Operation {
    const { table, options } = operation
    const atMicros = options?.writtenAtMicros
    if (atMicros === undefined || operation.kind === 'removeRange') {
      throw new TypeError(`a write to ${table.name} that is not known here`)
    }
    const given = (operation.kind === 'put' ? operation.row : operation.key) as Values
    const key = Object.fromEntries(keysOf(table).map((name) => [name, given[name]]))
    const text = JSON.stringify([table.name, key])
    const row = rows.get(text) ?? { removedAtMicros: -1n, cells: new Map() }
    rows.set(text, row)
    if (operation.kind === 'remove') {
      if (atMicros > row.removedAtMicros) row.removedAtMicros = atMicros
    } else {
      const values = (operation.kind === 'put' ? operation.row : operation.changes) as Values
      const names = Object.keys(operation.kind === 'put' ? table.columns : values)
      for (const name of names) {
        const before = row.cells.get(name)
        if (before && before.atMicros >= atMicros) continue
        row.cells.set(name, { atMicros, value: values[name] })
      }
    }
    const live = [...row.cells].filter(([, cell]) => cell.atMicros > row.removedAtMicros)
    const merged: Values = Object.fromEntries(live.map(([name, { value }]) => [name, value]))
    const isWhole = Object.entries(table.columns).every(
      ([name, column]) => columnSpec(column).isOptional || merged[name] !== undefined,
    )
    return isWhole ? put(table, { ...key, ...merged }) : remove(table, key)
  }

  const write = (operations: readonly Operation[]): Promise<void> => db.batch(operations.map(merge))
  return {
    ...db,
    put: (table, row, options = {}) => write([{ kind: 'put', table, row, options }]),
    update: (table, key, changes, options = {}) =>
      write([{ kind: 'update', table, key, changes, options }]),
    remove: (table, key, options = {}) => write([{ kind: 'remove', table, key, options }]),
    batch: write,
  }
}

const keysOf = (table: AnyTable): string[] => [
  ...Object.keys(table.partition),
  ...Object.keys(table.cluster),
]

/** What befalls one process. */
export interface Fate {
  readonly random: () => number
  /** How often a request fails, 0 to 1. */
  readonly failing: number
  /** Turns of the event loop that pass before something, and after it. */
  readonly pause: () => Promise<void>
}

/**
 * What befalls requests on their way to a shared store: they fail before they were done, or their
 * answer gets lost, or they land long after the caller gave up. A conditional write that is still on
 * its way has happened, or never will, once a serial read or another conditional write came by.
 */
export function lossyNetwork(random: () => number) {
  const late = new Set<() => Promise<unknown>>()
  const conditional = new Set<() => Promise<unknown>>()

  let settled = Promise.resolve()
  /** Whoever comes by waits for what another one settles. */
  function settle(): Promise<void> {
    settled = settled.then(async () => {
      for (const write of conditional) {
        conditional.delete(write)
        if (random() < 0.5) await write()
      }
    })
    return settled
  }

  async function write<T>(
    fate: Fate,
    on: Set<() => Promise<unknown>>,
    work: () => Promise<T>,
  ): Promise<T> {
    await fate.pause()
    const kind = fate.random() / fate.failing
    if (kind < 0.3) throw new Unavailable('the store was not reached')
    if (kind < 0.7) {
      on.add(work)
      throw new UnknownOutcome('the write is still on its way')
    }
    if (on === conditional) await settle()
    const result = await work()
    if (kind < 1) throw new UnknownOutcome('the answer of the store got lost')
    await fate.pause()
    return result
  }

  async function read<T>(fate: Fate, isSerial: boolean | undefined, work: () => Promise<T>) {
    await fate.pause()
    if (fate.random() < fate.failing / 4) throw new Unavailable('the store did not answer')
    if (isSerial === true) await settle()
    const result = await work()
    await fate.pause()
    return result
  }

  return {
    between: (db: WideColumnStore, fate: Fate): WideColumnStore => ({
      ...db,
      get: (table, key, options) =>
        read(fate, options?.isSerial, () => db.get(table, key, options)),
      list: (table, partition, options) =>
        read(fate, options?.isSerial, () => db.list(table, partition, options)),
      listEach: (...given) => read(fate, false, () => db.listEach(...given)),
      scan: (...given) => read(fate, false, () => db.scan(...given)),
      put: (...given) => write(fate, late, () => db.put(...given)),
      update: (...given) => write(fate, late, () => db.update(...given)),
      remove: (...given) => write(fate, late, () => db.remove(...given)),
      batch: (operations) => write(fate, late, () => db.batch(operations)),
      putIfAbsent: (...given) => write(fate, conditional, () => db.putIfAbsent(...given)),
      updateIf: (...given) => write(fate, conditional, () => db.updateIf(...given)),
      removeIf: (...given) => write(fate, conditional, () => db.removeIf(...given)),
    }),
    /** One write that is on its way lands. */
    async arriveOne(): Promise<void> {
      const [work] = [...late].slice(Math.floor(random() * late.size))
      if (!work) return
      late.delete(work)
      await work()
    },
    /** All that is on its way lands; some conditional writes do not. */
    async arriveAll(): Promise<void> {
      await settle()
      while (late.size > 0) await this.arriveOne()
    },
  }
}

/** Mostly a few turns, and now and then so many that others get far. */
export async function passTurns(random: () => number, frozenTurns: number): Promise<number> {
  const turns = random() < 0.01 ? frozenTurns : Math.floor(random() * 4)
  for (let turn = 0; turn < turns; turn += 1) await nextTurn()
  return turns
}
