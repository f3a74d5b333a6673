import type { Transport } from '../allocation/allocation.ts'
import { systemClock } from '../clock.ts'
import { dgramRelays, listenDgram } from '../io/dgram.ts'
import { loadLibc } from '../io/libc.ts'
import { mmsgIo } from '../io/mmsg.ts'
import { listenStreams, type StreamCounts, type StreamListener } from '../io/streams.ts'
import { createLogger } from '../log.ts'
import type { RelayServer } from '../server.ts'
import { parseIp, type Endpoint } from '../wire/ip.ts'
import { assembleServer, type Assembled } from './assemble.ts'
import type { FromWorker, ListenerSpec, Report, StartMessage, ToWorker } from './messages.ts'

/** One process of the relay: started by the supervisor, told everything by its first message. */

interface Running {
  readonly assembled: Assembled
  readonly streams: readonly StreamListener[]
  takeLagMs(): number
  stop(): Promise<void>
}

/** How often changes of quotas go to the other processes. */
const quotaMs = 100

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}

async function start(message: StartMessage): Promise<Running> {
  const { settings, index, count } = message
  const log = createLogger(settings.config.log, { worker: message.name })
  const share = { index, count }
  let started: RelayServer | undefined
  const server = (): RelayServer => {
    if (started === undefined) throw new Error('a packet came before the start')
    return started
  }
  const disposables: AsyncDisposable[] = []
  const streams: StreamListener[] = []
  const opened: ListenerSpec[] = []
  let assembled: Assembled
  let takeLagMs = (): number => 0
  let stopIo = (): void => undefined

  if (message.io === 'mmsg') {
    const libc = loadLibc()
    if (libc === undefined) throw new Error('koffi is not there')
    const io = mmsgIo(libc, server)
    assembled = assembleServer(settings, { share, sockets: io.sockets, clock: io.clock, log })
    started = assembled.server
    for (const spec of message.listeners) {
      if (spec.fd === undefined) throw new Error('a listener was not handed down')
      io.listen(spec.fd, endpointOf(spec), spec.number)
      opened.push(spec)
    }
    takeLagMs = () => io.takeLagMs()
    stopIo = () => io.stop()
    io.run(message.wakeFd)
  } else {
    const sockets = dgramRelays(server)
    assembled = assembleServer(settings, { share, sockets, clock: systemClock(), log })
    started = assembled.server
    const counts: StreamCounts = new Map()
    for (const spec of message.listeners) {
      const local = endpointOf(spec)
      let endpoint: Endpoint
      if (spec.transport === 'UDP') {
        const listener = listenDgram(local, spec.number, started)
        disposables.push(listener)
        ;({ endpoint } = listener)
      } else {
        const listener = await listenStreams({
          at:
            spec.fd === undefined ? { kind: 'address', local } : { kind: 'fd', fd: spec.fd, local },
          listener: spec.number,
          server: started,
          certificate: spec.transport === 'TLS' ? message.certificate : undefined,
          counts,
          maxPerSource: () => server().state.limits.streamsPerSource,
        })
        streams.push(listener)
        disposables.push(listener)
        ;({ endpoint } = listener)
      }
      opened.push({ ...spec, port: endpoint.port })
    }
    const lag = measureLag(() => server().tick())
    takeLagMs = () => lag.takeMs()
    stopIo = () => lag.stop()
  }

  const { state } = assembled.server
  state.isDraining = message.isDraining
  state.quotas.merge(message.quotas)
  const sendQuotas = (): void => {
    const changes = state.quotas.changes()
    if (Object.keys(changes).length > 0) tell({ type: 'quotas', changes })
  }
  const timer = setInterval(sendQuotas, quotaMs)
  tell({ type: 'ready', listeners: opened })

  return {
    assembled,
    streams,
    takeLagMs,
    async stop() {
      clearInterval(timer)
      assembled.server.endAll('relay stops')
      stopIo()
      for (const disposable of disposables) await disposable[Symbol.asyncDispose]()
    },
  }
}

function endpointOf({ address, port }: ListenerSpec): Endpoint {
  const ip = parseIp(address)
  if (ip === undefined) throw new RangeError(`${address} is not an address`)
  return { ip, port }
}

/** Ticks each second; how late that is tells how busy the event loop was. */
function measureLag(tick: () => void): { takeMs(): number; stop(): void } {
  let expectedMs = performance.now() + 1000
  let longestMs = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, Math.floor(nowMs - expectedMs))
    expectedMs = nowMs + 1000
    tick()
  }, 1000)
  return {
    takeMs() {
      const taken = longestMs
      longestMs = 0
      return taken
    },
    stop: () => clearInterval(timer),
  }
}

function reportOf(running: Running): Report {
  const { server } = running.assembled
  const allocations: Record<Transport, number> = { UDP: 0, TCP: 0, TLS: 0 }
  for (const { path } of server.state.allocations.values()) allocations[path.transport] += 1
  return {
    counters: server.counters,
    allocations,
    lagMs: running.takeLagMs(),
    residentBytes: process.memoryUsage.rss(),
  }
}

let running: Running | undefined
/** Until it is over, there is nothing to stop yet. */
let starting: Promise<Running> | undefined

async function receive(message: ToWorker): Promise<void> {
  if (message.type === 'start') {
    starting = start(message)
    running = await starting
    return
  }
  if (message.type === 'stop') return stop()
  if (running === undefined) return
  const { server } = running.assembled
  switch (message.type) {
    case 'reload': {
      running.assembled.reload(message.settings)
      if (message.certificate !== undefined) {
        for (const listener of running.streams) listener.setCertificate(message.certificate)
      }
      break
    }
    case 'drain': {
      server.state.isDraining = true
      break
    }
    case 'quotas': {
      server.state.quotas.merge(message.changes)
      break
    }
    case 'report': {
      tell({ type: 'report', report: reportOf(running) })
      break
    }
  }
}

async function stop(): Promise<void> {
  await starting?.catch(() => undefined)
  const stopped = running
  running = undefined
  await stopped?.stop()
  if (process.connected) process.disconnect()
}

process.on('message', (message: ToWorker) => {
  receive(message).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    tell({ type: 'failed', reason })
    process.exitCode = 1
    if (process.connected) process.disconnect()
  })
})
// Without the supervisor nobody reads the figures or starts a process that ended.
process.on('disconnect', () => void stop())
// Signals of a terminal go to all; only the supervisor decides.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGTERM'] as const) {
  process.on(signal, () => undefined)
}
