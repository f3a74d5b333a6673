import { fork, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import type { Logger } from 'pino'
import { ConfigError, readConfig, resolveAddresses, type Config } from '../config.ts'
import { newCounters } from '../counters.ts'
import { loadLibc, type Libc } from '../io/libc.ts'
import type { Certificate } from '../io/streams.ts'
import { createLogger } from '../log.ts'
import { readNonceKey, readSecrets } from '../secrets.ts'
import { parseIp, type Endpoint } from '../wire/ip.ts'
import type { Settings } from './assemble.ts'
import type { FromWorker, ListenerSpec, Report, ToWorker } from './messages.ts'
import { addCounters, allocationsOf, type Figures } from './metrics.ts'

/** The relay as its operator sees it: processes that share the clients, kept running by this one. */
export interface Relay extends AsyncDisposable {
  readonly listeners: readonly ListenerSpec[]
  readonly log: Logger
  readonly config: Config
  /** Reads the files again; rejects with ConfigError and changes nothing when they are wrong. */
  reload(): Promise<void>
  /** No new allocations from now on; `ended` resolves when few enough are left. */
  drain(): void
  readonly ended: Promise<void>
  figures(): Promise<Figures>
  /** Process ids by name. */
  processes(): Record<string, number | undefined>
}

/** What one process serves, whichever child it is at the moment. */
interface Place {
  readonly name: string
  readonly index: number
  readonly io: 'mmsg' | 'dgram'
  readonly fds: readonly (number | undefined)[]
  listeners: ListenerSpec[]
  readonly wakeFd: number | undefined
  child: ChildProcess | undefined
  isReady: boolean
  report: Report | undefined
  waiting: (() => void)[]
  /** What this process holds; taken back when it ends. */
  quotas: Map<string, number>
  quickEnds: number
}

const workerFile = fileURLToPath(new URL('worker.mjs', import.meta.url))
/** Descriptors of a child: 0 to 2, the channel, then what is handed down. */
const firstHandedFd = 4
const listenerBufferBytes = 4 * 1024 * 1024
const reportMs = 2_000
const stopMs = 5_000

/** Rejects with the reason of `signal` when that comes before the relay serves; nothing is left then. */
export async function startRelay(path: string, signal?: AbortSignal): Promise<Relay> {
  let loaded = await load(path)
  signal?.throwIfAborted()
  const { config } = loaded.settings
  const log = createLogger(config.log, { worker: 'supervisor' })
  const libc = config.io === 'dgram' ? undefined : loadLibc()
  if (config.io === 'mmsg' && libc === undefined) {
    throw new ConfigError(path, ['io: "mmsg" needs Linux and the package koffi'])
  }
  if (libc === undefined) {
    log.warn({ io: 'dgram' }, 'packets go one by one and by one process, for there is no koffi')
  }
  const places = openPlaces(loaded.settings, libc)
  const count = places.length
  const ended = Promise.withResolvers<void>()
  const ofEnded = newCounters()
  let restarts = 0
  let isDraining = false
  let isStopping = false
  const timers = new Set<NodeJS.Timeout>()

  function send(place: Place, message: ToWorker): void {
    if (place.child?.connected !== true) return
    place.child.send(message)
    if (place.wakeFd !== undefined) libc?.signalEvent(place.wakeFd)
  }
  function sendAll(message: ToWorker, except?: Place): void {
    for (const place of places) if (place !== except && place.isReady) send(place, message)
  }

  function quotasOfOthers(place: Place): Record<string, number> {
    const sum = new Map<string, number>()
    for (const other of places) {
      if (other === place) continue
      for (const [key, held] of other.quotas) sum.set(key, (sum.get(key) ?? 0) + held)
    }
    return Object.fromEntries(sum)
  }

  function startPlace(place: Place): Promise<void> {
    const startedMs = performance.now()
    const handed = place.fds.filter((fd) => fd !== undefined)
    if (place.wakeFd !== undefined) handed.push(place.wakeFd)
    const child = fork(workerFile, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...handed],
      serialization: 'advanced',
      // Packets make no garbage, so a small space for young objects costs nothing and saves 40 MB.
      execArgv: [
        '--disable-sigusr1',
        '--disable-warning=ExperimentalWarning',
        '--max-semi-space-size=2',
      ],
    })
    place.child = child
    place.isReady = false
    let nextFd = firstHandedFd
    const listeners = place.listeners.map((spec, at) => ({
      ...spec,
      fd: place.fds[at] === undefined ? undefined : nextFd++,
    }))
    const ready = Promise.withResolvers<void>()
    child.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'ready': {
          place.isReady = true
          place.listeners = message.listeners.map((spec) => ({ ...spec, fd: undefined }))
          ready.resolve()
          break
        }
        case 'failed': {
          log.error({ process: place.name, reason: message.reason }, 'a process cannot work')
          ready.reject(new Error(`${place.name}: ${message.reason}`))
          break
        }
        case 'quotas': {
          for (const [key, by] of Object.entries(message.changes)) {
            const held = (place.quotas.get(key) ?? 0) + by
            if (held === 0) place.quotas.delete(key)
            else place.quotas.set(key, held)
          }
          sendAll({ type: 'quotas', changes: message.changes }, place)
          break
        }
        case 'report': {
          place.report = message.report
          for (const resolve of place.waiting.splice(0)) resolve()
          break
        }
      }
    })
    child.on('error', (error) => ready.reject(error))
    child.on('exit', (code, signal) => {
      ready.reject(new Error(`${place.name} ended at once`))
      onEnd(place, { code, signal, livedMs: performance.now() - startedMs })
    })
    child.send({
      type: 'start',
      name: place.name,
      index: place.index,
      count,
      io: place.io,
      settings: loaded.settings,
      listeners,
      certificate: loaded.certificate,
      wakeFd: place.wakeFd === undefined ? undefined : nextFd,
      isDraining,
      quotas: quotasOfOthers(place),
    } satisfies ToWorker)
    return ready.promise
  }

  /** Starts it again with the sockets it had, so that clients of the others keep their process. */
  function onEnd(
    place: Place,
    { code, signal, livedMs }: { code: number | null; signal: string | null; livedMs: number },
  ): void {
    place.child = undefined
    const wasReady = place.isReady
    place.isReady = false
    for (const resolve of place.waiting.splice(0)) resolve()
    if (isStopping || !(wasReady || restarts > 0)) return
    if (place.report !== undefined) addCounters(ofEnded, place.report.counters)
    place.report = undefined
    const released = Object.fromEntries([...place.quotas].map(([key, held]) => [key, -held]))
    place.quotas = new Map()
    sendAll({ type: 'quotas', changes: released }, place)
    restarts += 1
    place.quickEnds = livedMs < 5_000 ? place.quickEnds + 1 : 0
    const delayMs = Math.min(10_000, place.quickEnds * 500)
    log.error(
      { process: place.name, code, signal, delayMs },
      'a process ended and is started again',
    )
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (isStopping) return
      startPlace(place).catch((error: unknown) => {
        log.error({ process: place.name, reason: String(error) }, 'a process did not start')
      })
    }, delayMs)
    timers.add(timer)
  }

  async function figures(): Promise<Figures> {
    await Promise.all(
      places.map(async (place) => {
        if (!place.isReady) return
        const answered = Promise.withResolvers<void>()
        place.waiting.push(answered.resolve)
        send(place, { type: 'report' })
        await Promise.race([answered.promise, wait(reportMs, undefined, { ref: false })])
      }),
    )
    const workers = places.flatMap(({ name, report }) =>
      report === undefined ? [] : [{ name, report }],
    )
    return { workers, ended: ofEnded, restarts, isDraining }
  }

  async function reload(): Promise<void> {
    const next = await load(path)
    const fixed = [
      'listen',
      'relay',
      'realm',
      'workers',
      'io',
      'metrics',
      'secureStun',
      'sha256',
      'controlSocket',
    ] as const
    const kept = fixed.filter(
      (name) => JSON.stringify(next.settings.config[name]) !== JSON.stringify(config[name]),
    )
    if (kept.length > 0) log.warn({ settings: kept }, 'these settings need a restart')
    const nextConfig: Config = { ...next.settings.config }
    Object.assign(nextConfig, Object.fromEntries(fixed.map((name) => [name, config[name]])))
    const { addresses, key } = loaded.settings
    loaded = {
      settings: { config: nextConfig, secrets: next.settings.secrets, addresses, key },
      certificate: next.certificate ?? loaded.certificate,
    }
    sendAll({ type: 'reload', settings: loaded.settings, certificate: loaded.certificate })
    log.info({}, 'reloaded')
  }

  function drain(): void {
    if (isDraining) return
    isDraining = true
    sendAll({ type: 'drain' })
    log.info({ graceSeconds: config.drain.graceSeconds }, 'draining')
    const untilMs = performance.now() + config.drain.graceSeconds * 1000
    const look = async (): Promise<void> => {
      const counts = allocationsOf(await figures())
      const left = counts.UDP + counts.TCP + counts.TLS
      const isOver = performance.now() >= untilMs
      if (left > loaded.settings.config.drain.minAllocations && !isOver) {
        timers.add(setTimeout(() => void look(), 1000))
        return
      }
      log.info({ allocations: left, isOver }, 'drained')
      ended.resolve()
    }
    void look()
  }

  async function stop(): Promise<void> {
    isStopping = true
    for (const timer of timers) clearTimeout(timer)
    await Promise.all(
      places.map(async (place) => {
        const { child } = place
        if (child === undefined) return
        const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
        send(place, { type: 'stop' })
        const timer = setTimeout(() => child.kill('SIGKILL'), stopMs)
        await gone
        clearTimeout(timer)
      }),
    )
    for (const { fds, wakeFd } of places) {
      for (const fd of [...fds, wakeFd]) if (fd !== undefined) libc?.close(fd)
    }
  }

  try {
    const started = Promise.all(places.map((place) => startPlace(place)))
    await (signal === undefined ? started : untilAborted(started, signal))
  } catch (error) {
    await stop()
    throw error
  }
  const listeners = places.flatMap(({ listeners }) => listeners)
  const seen = new Set<string>()
  for (const { transport, address, port } of listeners) {
    const text = `${transport} ${address} ${String(port)}`
    if (!seen.has(text)) log.info({ transport, address, port }, 'listening')
    seen.add(text)
  }
  return {
    listeners,
    log,
    config,
    reload,
    drain,
    ended: ended.promise,
    figures,
    processes: () => Object.fromEntries(places.map(({ name, child }) => [name, child?.pid])),
    [Symbol.asyncDispose]: stop,
  }
}

/** The outcome, or a rejection when the signal comes before. */
async function untilAborted(outcome: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const late = Promise.withResolvers<never>()
  const onAbort = (): void => late.reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    if (signal.aborted) onAbort()
    await Promise.race([outcome, late.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Whichever came second must not count as overlooked.
    outcome.catch(() => undefined)
    late.promise.catch(() => undefined)
  }
}

interface Loaded {
  readonly settings: Settings
  readonly certificate: Certificate | undefined
}

async function load(path: string): Promise<Loaded> {
  const config = await readConfig(path)
  const addresses = resolveAddresses(config, path)
  const secrets = await readSecrets(config, path)
  const key = await readNonceKey(config, path)
  return {
    settings: { config, addresses, secrets, key },
    certificate: await readCertificate(config, path),
  }
}

async function readCertificate(config: Config, path: string): Promise<Certificate | undefined> {
  const { tls } = config.listen
  if (tls === undefined) return undefined
  const read = async (file: string, setting: string): Promise<string> => {
    try {
      return await readFile(file, 'utf8')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ConfigError(path, [`listen.tls.${setting}: ${reason}`])
    }
  }
  const cert = await read(tls.certificateFile, 'certificateFile')
  const key = await read(tls.keyFile, 'keyFile')
  const { createSecureContext } = await import('node:tls')
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(path, [`listen.tls: certificate and key do not work: ${reason}`])
  }
  return { cert, key }
}

/** Opens all listening sockets, once for the life of the relay, and says which process gets which. */
function openPlaces(settings: Settings, libc: Libc | undefined): Place[] {
  const { config, addresses } = settings
  const { udpPort, tcpPort, tls } = config.listen
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  const udpCount = udpPort === 'off' ? 0 : libc === undefined ? 1 : workers
  const places: Place[] = []
  let number = 0

  function place(name: string, io: Place['io'], wakeFd: number | undefined): Place {
    const place: Place = {
      name,
      index: places.length,
      io,
      fds: [],
      listeners: [],
      wakeFd,
      child: undefined,
      isReady: false,
      report: undefined,
      waiting: [],
      quotas: new Map(),
      quickEnds: 0,
    }
    places.push(place)
    return place
  }
  function add(to: Place, spec: ListenerSpec, fd: number | undefined): void {
    to.listeners.push(spec)
    ;(to.fds as (number | undefined)[]).push(fd)
  }

  const udpPlaces = Array.from({ length: udpCount }, (_, at) =>
    place(`udp-${String(at)}`, libc === undefined ? 'dgram' : 'mmsg', libc?.openEvent()),
  )
  if (udpPort !== 'off') {
    for (const address of addresses.listen) {
      const local: Endpoint = { ip: ipOf(address), port: udpPort }
      const listener = number++
      let { port } = local
      for (const to of udpPlaces) {
        let fd: number | undefined
        if (libc !== undefined) {
          fd = libc.openUdp(
            { ip: local.ip, port },
            {
              receiveBytes: listenerBufferBytes,
              sendBytes: listenerBufferBytes,
              isShared: udpPlaces.length > 1,
            },
          )
          if (fd === undefined) {
            throw new Error(
              `UDP ${address} port ${String(port)} cannot be bound (error ${String(libc.errno())}); does another program listen there?`,
            )
          }
          port = libc.portOf(fd, local.ip.family)
        }
        add(to, { number: listener, transport: 'UDP', address, port }, fd)
      }
    }
  }
  const streamSpecs = addresses.listen.flatMap((address) => [
    ...(tcpPort === 'off' ? [] : [{ transport: 'TCP' as const, address, port: tcpPort }]),
    ...(tls?.ports ?? []).map((port) => ({ transport: 'TLS' as const, address, port })),
  ])
  if (streamSpecs.length > 0) {
    const streams = place('streams', 'dgram', undefined)
    for (const spec of streamSpecs) {
      const fd = libc?.openTcp({ ip: ipOf(spec.address), port: spec.port })
      const port = fd === undefined ? spec.port : (libc?.portOf(fd, 4) ?? spec.port)
      add(streams, { ...spec, port, number: number++ }, fd)
    }
  }
  return places
}

function ipOf(text: string): Endpoint['ip'] {
  const ip = parseIp(text)
  if (ip === undefined) throw new RangeError(`${text} is not an address`)
  return ip
}
