/** `npm run bench -- NAME [--quick]`: one JSON line per figure on stdout. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { EngineName } from '../../scripts/engines/engine.ts'
import { attachEngines, engineOf, type RunningEngines } from '../../scripts/engines/start.ts'
import {
  processNames,
  serviceOf,
  startClusterProcesses,
  type ClusterProcesses,
} from '../support/cluster-processes.ts'
import { startServerProcess } from '../support/server-process.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import { openSqlite } from '../../backend/src/adapters/sqlite/wide-column.ts'
import { gundeckTables } from '../../backend/src/services/gundeck/tables.ts'
import { openBenchStore } from './bench-store.ts'
import { benchCatchup } from './catchup.ts'
import { benchDeliver } from './deliver.ts'
import type { BenchServer } from './fleet.ts'
import { talk } from './figure.ts'
import { benchFrozenNode } from './frozen-node.ts'
import { benchQueueChurn } from './queue-churn.ts'
import { benchSend } from './send.ts'
import { benchSockets } from './sockets.ts'
import { benchStart } from './start.ts'
import { benchTakeover } from './takeover.ts'
import { benchWideColumn } from './wide-column.ts'
import { benchTurn } from './turn/bench.ts'

const usage = `Usage: npm run bench -- NAME [--quick] [--shape embedded|split]
       npm run bench -- NAME --engines [--directory FOLDER] [--quick]
         on two of every service and the engines that run (npm run engines -- up --nodes 3)

  send      durable 1:1 sends to 4 devices, a second; p50 and p99, full and half rate
  catchup   a client pages through what came while it was away: 100 000 messages
  queue-churn  a million messages come and are acknowledged; does reading get slower?
  takeover  the longest pause when an owner of inboxes dies (with --engines)
  sockets   memory and CPU of an idle socket, at 15 000
  deliver   deliveries to live sockets while sends saturate
  start     time until ready, and memory
  frozen-node  the same calls while one of three nodes is frozen (--network of npm run engines)
  wide-column  calls of the port, and a queue's churn, on the cluster that TEST_CASSANDRA names
  turn      the relay beside Debian's coturn and node-turn, in turns on one core; --part picks of
            throughput, latency, memory, flood (repeatable)
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    engines: { type: 'boolean', default: false },
    directory: { type: 'string' },
    shape: { type: 'string' },
    network: { type: 'string' },
    part: { type: 'string', multiple: true, default: [] },
  },
})
const [name] = positionals
const seconds = values.quick ? 3 : 10
const shapes = values.shape === undefined ? ['embedded', 'split'] : [values.shape]

/** Not to be disposed: that would stop the engines. */
async function attached(...names: EngineName[]): Promise<RunningEngines> {
  const { directory } = values
  return attachEngines({
    ...(names.length > 0 && { names }),
    ...(directory !== undefined && { directory }),
  })
}

/** Two of every service on engines that run already, and that stay. */
async function onCluster(
  measure: (cluster: ClusterProcesses, server: BenchServer) => Promise<void>,
): Promise<void> {
  await using cluster = await startClusterProcesses({
    engines: await attached(),
    run: `b${crypto.randomUUID().slice(0, 8)}`,
  })
  const processes = Object.values(cluster.processes)
  const pids = processes.map(({ pid }) => pid)
  // Of a process that is no mailbox and no noticeboard, this is the operator's listener.
  const operators = processNames.map((name) => ({
    service: serviceOf(name),
    url: cluster.processes[name].mailboxUrl,
  }))
  const gundeckUrl = cluster.processes['gundeck-1'].internalUrl
  await measure(cluster, { ...cluster, pids, operators, gundeckUrl })
}

async function onEachShape(
  measure: (server: BenchServer, shape: string) => Promise<void>,
): Promise<void> {
  if (values.engines) {
    await onCluster((_cluster, server) => measure(server, 'engines'))
    return
  }
  for (const shape of shapes) {
    if (shape === 'split') {
      await using split = await startSplitProcesses()
      await measure({ ...split, pids: Object.values(split.processes).map(({ pid }) => pid) }, shape)
    } else {
      await using server = await startServerProcess()
      await measure({ ...server, pids: [server.pid] }, shape)
    }
  }
}

switch (name) {
  case 'send':
    await onEachShape((server, shape) =>
      benchSend(server, shape, { pairs: values.quick ? 8 : 32, lines: 64, seconds }),
    )
    break
  case 'deliver':
    await onEachShape((server, shape) =>
      benchDeliver(server, shape, { groups: 4, members: values.quick ? 10 : 50, seconds }),
    )
    break
  case 'catchup':
    await onEachShape((server, shape) =>
      benchCatchup(server, shape, { messages: values.quick ? 10_000 : 100_000, lines: 64 }),
    )
    break
  case 'takeover':
    await onCluster((cluster, server) =>
      benchTakeover(cluster, server, { pairs: 8, kills: values.quick ? 2 : 10 }),
    )
    break
  case 'queue-churn': {
    const load = { messages: values.quick ? 50_000 : 1_000_000 }
    if (values.engines) {
      const { addresses } = engineOf(await attached('cassandra'), 'cassandra')
      await using bench = await openBenchStore(addresses, gundeckTables)
      await benchQueueChurn(bench.store, 'cassandra', load)
      break
    }
    const folder = await mkdtemp(join(tmpdir(), 'tricord-churn-'))
    await using held = new AsyncDisposableStack()
    held.defer(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'churn.sqlite')
    const store = held.use(await openSqlite({ file, synchronous: 'full', nowMs: Date.now }))
    await benchQueueChurn(store, 'sqlite', load)
    break
  }
  case 'frozen-node': {
    const network = values.network ?? '127.77.0'
    // Not disposed: that would stop the engines.
    const attached = await attachEngines({ names: ['cassandra'], network })
    const [, node] = engineOf(attached, 'cassandra').nodes
    if (node === undefined) throw new Error('three nodes of Cassandra are needed')
    await benchFrozenNode({
      nodes: [1, 2, 3].map((number) => `${network}.${number}:9042`),
      node,
      secondsEach: values.quick ? 10 : 20,
      perSecond: 50,
    })
    break
  }
  case 'wide-column': {
    const nodes = process.env['TEST_CASSANDRA']?.split(',')
    if (nodes === undefined)
      throw new Error('TEST_CASSANDRA names no nodes (npm run engines -- env)')
    await benchWideColumn({
      nodes,
      seconds: values.quick ? 2 : 5,
      churn: values.quick ? 50_000 : 1_000_000,
    })
    break
  }
  case 'sockets': {
    await using server = await startServerProcess({ nodeOptions: ['--max-semi-space-size=1'] })
    await benchSockets(server, server.url, values.quick ? 2_000 : 15_000)
    break
  }
  case 'start':
    await benchStart()
    break
  case 'turn':
    await benchTurn({ isQuick: values.quick, parts: values.part })
    break
  case undefined:
  default:
    talk(usage)
    process.exitCode = 2
}
