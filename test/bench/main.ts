/** `npm run bench -- send|sockets|deliver|start|turn [--quick]`: one JSON line per figure on stdout. */
import { parseArgs } from 'node:util'
import { startServerProcess } from '../support/server-process.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import { benchDeliver } from './deliver.ts'
import { talk } from './figure.ts'
import { benchSend } from './send.ts'
import { benchSockets } from './sockets.ts'
import { benchStart } from './start.ts'
import { benchTurn } from './turn/bench.ts'

const usage = `Usage: npm run bench -- NAME [--quick] [--shape embedded|split]

  send      durable 1:1 sends to 4 devices, a second; p50 and p99, full and half rate
  sockets   memory and CPU of an idle socket, at 15 000
  deliver   deliveries to live sockets while sends saturate
  start     time until ready, and memory
  turn      the relay beside Debian's coturn and node-turn, in turns on one core; --part picks of
            throughput, latency, memory, flood (repeatable)
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    shape: { type: 'string' },
    part: { type: 'string', multiple: true, default: [] },
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
