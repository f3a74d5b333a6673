/** `npm run bench -- send|sockets|deliver|start|wide-column [--quick]`: one JSON line per figure on stdout. */
import { parseArgs } from 'node:util'
import { startServerProcess } from '../support/server-process.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import { attachEngines, engineOf } from '../../scripts/engines/start.ts'
import { benchDeliver } from './deliver.ts'
import { talk } from './figure.ts'
import { benchFrozenNode } from './frozen-node.ts'
import { benchSend } from './send.ts'
import { benchSockets } from './sockets.ts'
import { benchStart } from './start.ts'
import { benchWideColumn } from './wide-column.ts'

const usage = `Usage: npm run bench -- NAME [--quick] [--shape embedded|split]

  send      durable 1:1 sends to 4 devices, a second; p50 and p99, full and half rate
  sockets   memory and CPU of an idle socket, at 15 000
  deliver   deliveries to live sockets while sends saturate
  start     time until ready, and memory
  frozen-node  the same calls while one of three nodes is frozen (--network of npm run engines)
  wide-column  calls of the port, and a queue's churn, on the cluster that TEST_CASSANDRA names
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    shape: { type: 'string' },
    network: { type: 'string' },
  },
})
const [name] = positionals
const seconds = values.quick ? 3 : 10
const shapes = values.shape === undefined ? ['embedded', 'split'] : [values.shape]

async function onEachShape(
  measure: (
    server: { url: string; mailboxUrl: string; ws: string },
    shape: string,
  ) => Promise<void>,
): Promise<void> {
  for (const shape of shapes) {
    if (shape === 'split') {
      await using split = await startSplitProcesses()
      await measure(split, shape)
    } else {
      await using server = await startServerProcess()
      await measure({ ...server, ws: server.url }, shape)
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
  case undefined:
  default:
    talk(usage)
    process.exitCode = 2
}
