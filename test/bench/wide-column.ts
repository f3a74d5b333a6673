import { randomBytes, randomUUID } from 'node:crypto'
import { put, table } from '../../backend/src/ports/wide-column.ts'
import type { WideColumnStore } from '../../backend/src/ports/wide-column.ts'
import { openBenchStore, type BenchStore } from './bench-store.ts'
import { percentile, printFigure, round, talk } from './figure.ts'

const queue = table({
  name: 'bench_queue',
  partition: { user: 'uuid', bucket: 'bigint' },
  cluster: { id: 'bigint' },
  columns: { payload: 'text', origin: 'text?' },
  shape: 'queue',
})
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
  columns: { owner: 'text', epoch: 'bigint' },
  writes: 'conditional',
})

/**
 * What the wide-column port costs on a cluster that is there: `TEST_CASSANDRA` names its nodes.
 * Latency of each kind of call, alone and with 32 at a time, and the requests that each makes; then
 * a queue that is appended to and acknowledged, and what a read costs in the course of it.
 */
export async function benchWideColumn(options: {
  nodes: readonly string[]
  seconds: number
  churn: number
}): Promise<void> {
  await using counted = await openBenchStore(options.nodes, [queue, rows, claims])
  await benchCalls(counted, options)
  await benchChurn(counted.store, options)
}

async function benchCalls(
  { store, requests }: BenchStore,
  { nodes, seconds }: { nodes: readonly string[]; seconds: number },
): Promise<void> {
  const payload = randomBytes(750).toString('base64')
  const user = randomUUID()
  const full = { user, bucket: 0n }
  await store.batch(
    Array.from({ length: 1000 }, (_, id) => put(queue, { ...full, id: BigInt(id), payload })),
  )
  const name = randomUUID()
  await store.putIfAbsent(claims, { name, owner: 'a', epoch: 0n })
  let epoch = 0n
  let next = 0n
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    put: () => store.put(rows, { user: randomUUID(), device: 'd', label: 'phone' }),
    'append of 1 row of 1 KB': () =>
      store.batch([put(queue, { user: randomUUID(), bucket: 1n, id: (next += 1n), payload })]),
    'append of 20 rows of 1 KB': () => {
      const inbox = { user: randomUUID(), bucket: 1n }
      return store.batch(
        Array.from({ length: 20 }, () => put(queue, { ...inbox, id: (next += 1n), payload })),
      )
    },
    'batch over two partitions': () =>
      store.batch([1, 2].map(() => put(rows, { user: randomUUID(), device: 'd', label: 'phone' }))),
    get: () => store.get(queue, { ...full, id: 5n }),
    'page of 32 rows of 1 KB': () => store.list(queue, full, { after: 100n, limit: 32 }),
    'serial get': () => store.get(claims, { name: randomUUID() }, { isSerial: true }),
    'put if absent': () => store.putIfAbsent(claims, { name: randomUUID(), owner: 'a', epoch: 1n }),
    'heartbeat (update if, same row)': () =>
      store.updateIf(claims, { name }, { epoch }, { epoch: (epoch += 1n) }),
  }
  for (const [call, run] of Object.entries(calls)) {
    // One row cannot be written by several at once; those take turns anyway.
    for (const atOnce of call.startsWith('heartbeat') ? [1] : [1, 32]) {
      for (let warm = 0; warm < 50; warm += 1) await run()
      requests()
      const latencies: number[] = []
      const began = performance.now()
      const endMs = began + seconds * 1000
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          while (performance.now() < endMs) {
            const start = performance.now()
            await run()
            latencies.push(performance.now() - start)
          }
        }),
      )
      const elapsed = (performance.now() - began) / 1000
      printFigure('wide-column', {
        nodes: nodes.length,
        call,
        atOnce,
        perSecond: round(latencies.length / elapsed),
        p50Ms: round(percentile(latencies, 0.5), 2),
        p99Ms: round(percentile(latencies, 0.99), 2),
        requests: round(requests() / latencies.length, 2),
      })
    }
  }
}

/** Rows of one bucket; what an inbox of the server would cut by size or day. */
const bucketRows = 10_000

/**
 * One client that takes everything at once: appends of 20 rows, each acknowledged by a range removal.
 * A read at the cursor is timed all the while.
 */
async function benchChurn(
  store: WideColumnStore,
  { nodes, churn }: { nodes: readonly string[]; churn: number },
): Promise<void> {
  const user = randomUUID()
  const payload = randomBytes(150).toString('base64')
  const perTenth: number[][] = []
  const began = performance.now()
  for (let id = 0; id < churn; id += 20) {
    const bucket = BigInt(Math.floor(id / bucketRows))
    const at = (of: number) => ({ ttlSeconds: 28 * 86_400, writtenAtMicros: BigInt(of) * 1000n })
    const ids = Array.from({ length: 20 }, (_, index) => id + index)
    await store.batch(
      ids.map((of) => put(queue, { user, bucket, id: BigInt(of), payload }, at(of + 1))),
    )
    const start = performance.now()
    const found = await store.list(queue, { user, bucket }, { after: BigInt(id - 1), limit: 32 })
    const tenth = Math.floor((id * 10) / churn)
    ;(perTenth[tenth] ??= []).push(performance.now() - start)
    if (found.rows.length !== 20) throw new Error(`${found.rows.length} rows instead of 20`)
    await store.removeRange(queue, { user, bucket }, { to: BigInt(id + 19) }, at(id + 20))
    if (id % 50_000 === 0) talk(`${id} of ${churn} appended and acknowledged`)
  }
  const medians = perTenth.map((samples) => percentile(samples, 0.5))
  printFigure('queue-churn on the port', {
    nodes: nodes.length,
    rows: churn,
    perSecond: round((churn * 1000) / (performance.now() - began)),
    readP50Ms: medians.map((median) => round(median, 2)),
    readP99Ms: perTenth.map((samples) => round(percentile(samples, 0.99), 2)),
    lastToFirst: round((medians.at(-1) ?? 0) / (medians[0] ?? 1), 2),
  })
}
