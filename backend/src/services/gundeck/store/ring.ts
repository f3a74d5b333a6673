import { putIfAbsent, table, updateIf } from '../../../ports/wide-column.ts'
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
    /** Of an instance: its starts. Of a shard: its changes of owner. */
    epoch: 'bigint?',
    /** Of an instance: its heartbeats. */
    sequence: 'bigint?',
    /** Of an instance: it has given out no id with later ticks. */
    ceiling: 'bigint?',
    /** Of a shard: an instance, or nobody. */
    owner: 'text?',
    /** Of a shard: every id of earlier owners has at most these ticks. */
    floor: 'bigint?',
  },
  writes: 'conditional',
})

export const shardCount = 64
const ring = 'inboxes'
const versionKey = { ring, kind: 'ring', name: '' } as const
const instanceKey = (name: string) => ({ ring, kind: 'instance', name }) as const
const shardKey = (shard: number) =>
  ({ ring, kind: 'shard', name: String(shard).padStart(2, '0') }) as const

type RingRow = Row<typeof ringTable>

export interface InstanceState {
  readonly epoch: bigint
  readonly sequence: bigint
  readonly ceiling: bigint
}
export interface ShardState {
  readonly owner: string | undefined
  readonly epoch: bigint
  readonly floor: bigint
}
export interface RingView {
  /** Zero before anybody wrote. */
  readonly version: bigint
  readonly instances: ReadonlyMap<string, InstanceState>
  /** By shard number; those that nobody ever owned are absent. */
  readonly shards: ReadonlyMap<number, ShardState>
}

export interface RingStore {
  read(): Promise<RingView>
  version(): Promise<bigint>
  instance(name: string): Promise<InstanceState | undefined>
  /** Applied only if nothing of `view` that it touches has changed. */
  change(
    view: RingView,
    instances: ReadonlyMap<string, InstanceState & { address?: string }>,
    shards: ReadonlyMap<number, ShardState>,
  ): Promise<boolean>
  /** Changes an instance's own row only: a heartbeat is no change of the ring. */
  raise(name: string, from: InstanceState, to: InstanceState): Promise<boolean>
}

export function ringStore(db: WideColumnStore): RingStore {
  async function read(): Promise<RingView> {
    const instances = new Map<string, InstanceState>()
    const shards = new Map<number, ShardState>()
    let version = 0n
    let page: string | undefined
    do {
      const found = await db.list(ringTable, { ring }, { page })
      for (const row of found.rows) {
        if (row.kind === 'ring') version = row.version ?? 0n
        else if (row.kind === 'instance') instances.set(row.name, instanceState(row))
        else shards.set(Number(row.name), shardState(row))
      }
      page = found.next
    } while (page !== undefined)
    return { version, instances, shards }
  }

  return {
    read,
    async version() {
      const row = await db.get(ringTable, versionKey)
      return row?.version ?? 0n
    },
    async instance(name) {
      const row = await db.get(ringTable, instanceKey(name), { isSerial: true })
      return row && instanceState(row)
    },
    change(view, instances, shards) {
      const version = view.version + 1n
      const operations: ConditionalOperation[] = [
        view.version === 0n
          ? putIfAbsent(ringTable, { ...versionKey, version })
          : updateIf(ringTable, versionKey, { version: view.version }, { version }),
      ]
      for (const [name, to] of instances) {
        const from = view.instances.get(name)
        operations.push(
          from === undefined
            ? putIfAbsent(ringTable, { ...instanceKey(name), ...to })
            : updateIf(ringTable, instanceKey(name), from, to),
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
    raise: (name, from, to) => db.updateIf(ringTable, instanceKey(name), from, to),
  }
}

const instanceState = ({ epoch = 0n, sequence = 0n, ceiling = 0n }: RingRow): InstanceState => ({
  epoch,
  sequence,
  ceiling,
})
const shardState = ({ owner, epoch = 0n, floor = 0n }: RingRow): ShardState => ({
  owner,
  epoch,
  floor,
})
