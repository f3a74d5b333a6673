import { putIfAbsent, removeIf, table, updateIf } from '../../../ports/wide-column.ts'
import type { ConditionalOperation, Row, WideColumnStore } from '../../../ports/wide-column.ts'

/**
 * Who owns which inboxes, in one partition so that every change of it is one conditional write.
 * Rows: one `ring` with the version, an `instance` for each gundeck, a `shard` for each of 64.
 */
export const ringTable = table({
  name: 'gundeck_ring',
  partition: { ring: 'text' },
  cluster: { kind: 'text', name: 'text' },
  columns: {
    /** Of the ring: raised whenever a shard changes its owner. */
    version: 'bigint?',
    /** Of an instance: where it answers. */
    address: 'text?',
    /** Of an instance: how often shards were taken from it. Of a shard: its changes of owner. */
    epoch: 'bigint?',
    /** Of an instance: its heartbeats. */
    sequence: 'bigint?',
    /** Of an instance: it has given out no id with later ticks. */
    ceiling: 'bigint?',
    /** Of an instance: what its host's clock showed at the last heartbeat. */
    clock: 'timestamp?',
    /** Of an instance: rises with each that registers, so that the older is known. */
    joined: 'bigint?',
    /** Of a shard: an instance, or nobody. */
    owner: 'text?',
    /** Of a shard: every id of earlier owners has at most these ticks. */
    floor: 'bigint?',
  },
  writes: 'conditional',
})

const ring = 'inboxes'
const versionKey = { ring, kind: 'ring', name: '' } as const
const instanceKey = (name: string) => ({ ring, kind: 'instance', name }) as const
const shardKey = (shard: number) =>
  ({ ring, kind: 'shard', name: String(shard).padStart(2, '0') }) as const

type RingRow = Row<typeof ringTable>

/** What every conditional write of an instance's line is compared with. */
export interface InstanceState {
  readonly epoch: bigint
  readonly sequence: bigint
  readonly ceiling: bigint
}
export interface InstanceLine extends InstanceState {
  readonly address: string
  readonly joined: bigint
  readonly clockMs: number
}
export interface ShardState {
  readonly owner: string | undefined
  readonly epoch: bigint
  readonly floor: bigint
}
export interface RingView {
  /** Zero before anybody wrote. */
  readonly version: bigint
  readonly instances: ReadonlyMap<string, InstanceLine>
  /** By shard number; those that nobody ever owned are absent. */
  readonly shards: ReadonlyMap<number, ShardState>
}

export interface RingChange {
  readonly lines?: ReadonlyMap<string, InstanceState & Partial<InstanceLine>>
  readonly shards: ReadonlyMap<number, ShardState>
  /** Instances that must be registered, and whose epoch must be this one. */
  readonly standing?: ReadonlyMap<string, bigint>
}

export interface RingStore {
  read(): Promise<RingView>
  /** Every change that began before has been applied for this and later reads, or never will be. */
  readSettled(): Promise<RingView>
  version(): Promise<bigint>
  instance(name: string): Promise<InstanceState | undefined>
  /** Applied only if the version, and of `view` the lines that it touches, are as they were. */
  change(view: RingView, change: RingChange): Promise<boolean>
  /** Changes an instance's own line only: a heartbeat is no change of the ring. */
  raise(name: string, from: InstanceState, to: InstanceState, clockMs: number): Promise<boolean>
  register(name: string, line: InstanceLine): Promise<boolean>
  /** Of an instance that owns nothing in the view; fails if anything has moved since. */
  remove(name: string, view: RingView): Promise<boolean>
}

export function ringStore(db: WideColumnStore): RingStore {
  async function read(isSerial: boolean): Promise<RingView> {
    const instances = new Map<string, InstanceLine>()
    const shards = new Map<number, ShardState>()
    let version = 0n
    let page: string | undefined
    do {
      const found = await db.list(ringTable, { ring }, { page, isSerial })
      for (const row of found.rows) {
        if (row.kind === 'ring') version = row.version ?? 0n
        else if (row.kind === 'instance') instances.set(row.name, instanceLine(row))
        else shards.set(Number(row.name), shardState(row))
      }
      page = found.next
    } while (page !== undefined)
    return { version, instances, shards }
  }

  return {
    read: () => read(false),
    readSettled: () => read(true),
    async version() {
      const row = await db.get(ringTable, versionKey)
      return row?.version ?? 0n
    },
    async instance(name) {
      const row = await db.get(ringTable, instanceKey(name), { isSerial: true })
      return row && stateOf(instanceLine(row))
    },
    change(view, { lines = new Map(), shards, standing = new Map() }) {
      const version = view.version + 1n
      const operations: ConditionalOperation[] = [
        view.version === 0n
          ? putIfAbsent(ringTable, { ...versionKey, version })
          : updateIf(ringTable, versionKey, { version: view.version }, { version }),
      ]
      for (const [name, epoch] of standing) {
        operations.push(updateIf(ringTable, instanceKey(name), { epoch }, {}))
      }
      for (const [name, to] of lines) {
        const from = view.instances.get(name)
        const values = valuesOf(to)
        operations.push(
          from === undefined
            ? putIfAbsent(ringTable, { ...instanceKey(name), ...values })
            : updateIf(ringTable, instanceKey(name), stateOf(from), values),
        )
      }
      for (const [shard, to] of shards) {
        const from = view.shards.get(shard)
        operations.push(
          from === undefined
            ? putIfAbsent(ringTable, { ...shardKey(shard), ...to })
            : updateIf(ringTable, shardKey(shard), from, to),
        )
      }
      return db.batchIf(operations)
    },
    raise: (name, from, to, clockMs) =>
      db.updateIf(ringTable, instanceKey(name), stateOf(from), { ...stateOf(to), clock: clockMs }),
    register: (name, line) =>
      db.putIfAbsent(ringTable, { ...instanceKey(name), ...valuesOf(line) }),
    async remove(name, view) {
      const from = view.instances.get(name)
      if (from === undefined) return false
      return db.batchIf([
        updateIf(ringTable, versionKey, { version: view.version }, {}),
        removeIf(ringTable, instanceKey(name), stateOf(from)),
      ])
    },
  }
}

const instanceLine = (row: RingRow): InstanceLine => ({
  epoch: row.epoch ?? 0n,
  sequence: row.sequence ?? 0n,
  ceiling: row.ceiling ?? 0n,
  address: row.address ?? '',
  joined: row.joined ?? 0n,
  clockMs: row.clock ?? 0,
})

export const stateOf = ({ epoch, sequence, ceiling }: InstanceState): InstanceState => ({
  epoch,
  sequence,
  ceiling,
})

const valuesOf = ({
  address,
  joined,
  clockMs,
  ...state
}: InstanceState & Partial<InstanceLine>) => ({
  ...stateOf(state),
  ...(address === undefined ? {} : { address }),
  ...(joined === undefined ? {} : { joined }),
  ...(clockMs === undefined ? {} : { clock: clockMs }),
})

const shardState = ({ owner, epoch = 0n, floor = 0n }: RingRow): ShardState => ({
  owner,
  epoch,
  floor,
})
