import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSchema } from '../../backend/src/adapters/cassandra/create-schema.ts'
import { connect } from '../../backend/src/adapters/cassandra/session.ts'
import { cassandraStore } from '../../backend/src/adapters/cassandra/wide-column.ts'
import { table } from '../../backend/src/ports/wide-column.ts'
import { percentile, printFigure, round } from './figure.ts'

const rows = table({
  name: 'bench_rows',
  partition: { user: 'uuid' },
  cluster: { device: 'text' },
  columns: { label: 'text' },
})
const claims = table({
  name: 'bench_claims',
  partition: { name: 'uuid' },
  cluster: {},
  columns: { owner: 'text' },
  writes: 'conditional',
})

/** A node of the cluster that can be stopped and go on, such as one of `npm run engines`. */
export interface Freezable {
  freeze(): Promise<void> | void
  thaw(): Promise<void> | void
}

/**
 * What callers of the port meet while one of three nodes is frozen, which is worse than a node that
 * is gone: its connections stay. With the time limits that servers have.
 */
export async function benchFrozenNode(options: {
  nodes: readonly string[]
  node: Freezable
  secondsEach: number
  perSecond: number
}): Promise<void> {
  const keyspace = `bench${randomBytes(4).toString('hex')}`
  const counts: Record<string, number> = {}
  await using session = await connect({
    contactPoints: options.nodes,
    localDatacenter: 'dc1',
    counted: (event) => void (counts[event] = (counts[event] ?? 0) + 1),
  })
  await createSchema(session, keyspace, [rows, claims])
  const store = cassandraStore(session, { keyspace })
  await store.open([rows, claims])
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    put: () => store.put(rows, { user: randomUUID(), device: 'd', label: 'x' }),
    get: () => store.get(rows, { user: randomUUID(), device: 'd' }),
    'put if absent': () => store.putIfAbsent(claims, { name: randomUUID(), owner: 'a' }),
  }
  try {
    for (const phase of ['before', 'frozen', 'after']) {
      if (phase === 'frozen') await options.node.freeze()
      if (phase === 'after') await options.node.thaw()
      for (const event of Object.keys(counts)) delete counts[event]
      await Promise.all(
        Object.entries(calls).map(async ([call, run]) => {
          const latencies: number[] = []
          const failures: Record<string, number> = {}
          const pending: Promise<void>[] = []
          for (let left = options.secondsEach * options.perSecond; left > 0; left -= 1) {
            const start = performance.now()
            pending.push(
              run().then(
                () => void latencies.push(performance.now() - start),
                (error: unknown) => {
                  const name = error instanceof Error ? error.name : 'unknown'
                  failures[name] = (failures[name] ?? 0) + 1
                },
              ),
            )
            await sleep(1000 / options.perSecond)
          }
          await Promise.all(pending)
          printFigure('frozen-node', {
            phase,
            call,
            answered: latencies.length,
            failures,
            p50Ms: round(percentile(latencies, 0.5), 1),
            p99Ms: round(percentile(latencies, 0.99), 1),
            longestMs: round(Math.max(...latencies)),
          })
        }),
      )
      printFigure('frozen-node', { phase, counts: { ...counts } })
    }
  } finally {
    await options.node.thaw()
    await sleep(2000)
    await session.administer(`${keyspace}_bench`, `DROP KEYSPACE "${keyspace}_bench"`)
  }
}
