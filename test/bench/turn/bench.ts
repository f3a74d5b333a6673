/**
 * Our relay against Debian's coturn and `node-turn`, in one run and in turns: the server on one core,
 * the load on the other. CPU time is taken from /proc for the whole process tree, so that the
 * figures hold on a machine that does other work besides.
 */
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCoturn, startCoturn } from '../../turn/support/coturn.ts'
import { startNodeTurn } from '../../turn/support/node-turn.ts'
import { raisedLimits, startRelay } from '../../turn/support/relay.ts'
import {
  cpuMicroseconds,
  openFiles,
  processTree,
  residentKilobytes,
} from '../../turn/support/server-child.ts'
import type { TurnServer } from '../../turn/support/turn-server.ts'
import { printFigure, round, talk } from '../figure.ts'
import { startGenerator, type Generator, type RemoteLoad } from './generator-process.ts'
import type { Direction, FloodKind, RunResult, RunSettings } from './load.ts'

export interface TurnBenchSettings {
  readonly isQuick: boolean
  /** Which parts: throughput, latency, memory, flood; these four when empty. And live. */
  readonly parts: readonly string[]
}

interface Contender {
  readonly name: string
  /**
   * A fresh one on the server's core, ready for `clients` from addresses of their own; as it is
   * delivered, or with its limits out of the way.
   */
  start(clients: number, limits: 'delivered' | 'raised'): Promise<TurnServer>
  /** Whether it takes ChannelData upwards; else Send indications stand in. */
  readonly hasChannelsUp: boolean
}

interface Entry {
  readonly contender: Contender
  readonly server: TurnServer
  readonly load: RemoteLoad
  readonly pids: readonly number[]
}

interface Measured extends RunResult {
  readonly cpuMicrosPerPacket: number
  readonly packetsPerCpuSecond: number
  readonly packetsPerSecond: number
  readonly loss: number
}

const serverCore = 0
const generatorCore = 1
const payloadBytes = 172
const clients = 100
/** Before other work of the machine, server and load alike, where that is allowed. */
const nice = process.getuid?.() === 0 ? -10 : 0

const startOurs = (limits: 'delivered' | 'raised', more: { io?: 'dgram' } = {}) =>
  startRelay({
    core: serverCore,
    nice,
    limits: limits === 'raised' ? raisedLimits : {},
    workers: 1,
    ...more,
  })

const contenders: readonly Contender[] = [
  {
    name: 'relay',
    start: (_clients, limits) => startOurs(limits),
    hasChannelsUp: true,
  },
  {
    name: 'coturn',
    start: () => startCoturn({ core: serverCore, nice }),
    hasChannelsUp: true,
  },
  {
    name: 'relay-dgram',
    start: (_clients, limits) => startOurs(limits, { io: 'dgram' }),
    hasChannelsUp: true,
  },
  {
    name: 'node-turn',
    start: (users) => startNodeTurn({ core: serverCore, nice, users }),
    hasChannelsUp: false,
  },
]

export async function benchTurn({ isQuick, parts }: TurnBenchSettings): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores')
  if (!hasCoturn) talk('turn: no coturn on this machine, so no ratios: apt-get install coturn')
  const chosen = contenders.filter(({ name }) => name !== 'coturn' || hasCoturn)
  const isWanted = (part: string): boolean => parts.length === 0 || parts.includes(part)
  await using generator = startGenerator({ core: generatorCore, nice })
  if (isWanted('throughput') || isWanted('latency')) {
    await inRounds(generator, chosen, isQuick, isWanted)
  }
  const lasting = chosen.filter(({ name }) => name !== 'relay-dgram')
  if (isWanted('memory')) {
    await perAllocation(generator, lasting, isQuick ? 1000 : 4000, isQuick ? 1 : 5)
  }
  if (isWanted('flood')) {
    await floods(generator, chosen, isQuick ? { rounds: 1, seconds: 3 } : { rounds: 5, seconds: 5 })
  }
  // Needs 20 000 files in one process, so it is asked for by name.
  if (parts.includes('live')) await live(generator)
  printTable()
}

async function enter(
  generator: Generator,
  contender: Contender,
  count: number,
  limits: 'delivered' | 'raised' = 'raised',
): Promise<Entry> {
  const server = await contender.start(count, limits)
  const load = await generator.open(`${contender.name}-${String(server.child.pid)}`, {
    server: { host: server.host, port: server.port },
    clients: count,
    payloadBytes,
    credentials: Array.from({ length: count }, (_, index) => server.credentialsFor(index)),
    up: contender.hasChannelsUp ? 'channel' : 'send',
  })
  return { contender, server, load, pids: await processTree(server.child.pid) }
}

async function measure({ load, pids }: Entry, settings: RunSettings): Promise<Measured> {
  await load.bind()
  const before = await cpuMicroseconds(pids)
  const result = await load.run(settings)
  const used = (await cpuMicroseconds(pids)) - before
  return {
    ...result,
    cpuMicrosPerPacket: used / result.received,
    packetsPerCpuSecond: (result.received * 1e6) / used,
    packetsPerSecond: result.received / result.seconds,
    loss: 1 - result.received / result.sent,
  }
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return (
    ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
  )
}

/** Values of one measure, by contender, a value a round. */
type Column = Map<string, Measured[]>

const roundsOf = (column: Column, of: (each: Measured) => number): Rounds =>
  new Map([...column].map(([name, rounds]) => [name, rounds.map(of)]))

const ratios = (column: Column, of: (each: Measured) => number): Record<string, number> =>
  ratiosIn(roundsOf(column, of))

const medians = (
  column: Column,
  of: (each: Measured) => number,
  digits = 0,
): Record<string, number> => middles(roundsOf(column, of), digits)

async function inRounds(
  generator: Generator,
  chosen: readonly Contender[],
  isQuick: boolean,
  isWanted: (part: string) => boolean,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const entries: Entry[] = []
  for (const contender of chosen) {
    const entry = await enter(generator, contender, clients)
    stack.use(entry.server)
    stack.use(entry.load)
    const { refused } = await entry.load.allocate()
    if (refused > 0) throw new Error(`${contender.name} refused ${String(refused)} allocations`)
    entries.push(entry)
  }
  const seconds = 1
  const rounds = isQuick ? 2 : 5
  const columns = new Map<string, Column>()
  const note = (column: string, name: string, value: Measured): void => {
    const rows = columns.get(column) ?? new Map<string, Measured[]>()
    columns.set(column, rows)
    rows.set(name, [...(rows.get(name) ?? []), value])
  }
  const fixedRate = 20_000
  let halfRate = 0
  // Round 0 warms up and is thrown away.
  for (let turn = 0; turn <= rounds; turn += 1) {
    for (const entry of entries) {
      const { name } = entry.contender
      for (const direction of ['up', 'down'] as const) {
        if (isWanted('throughput')) {
          const full = await measure(entry, { direction, rate: 'saturate', seconds })
          const fixed = await measure(entry, { direction, rate: fixedRate, seconds })
          talk(
            `turn: round ${String(turn)} ${name} ${direction}: ` +
              `${String(round(full.packetsPerCpuSecond))} packets/CPU s, ` +
              `${String(round(fixed.cpuMicrosPerPacket, 2))} µs CPU at ${String(fixedRate)}/s`,
          )
          if (turn === 0) continue
          note(`full-${direction}`, name, full)
          note(`fixed-${direction}`, name, fixed)
        }
      }
    }
    if (!isWanted('latency')) continue
    halfRate ||= await halfLoad(entries, seconds)
    for (const entry of entries) {
      if (entry.contender.name === 'node-turn') continue
      const directions: Direction[] = ['direct', 'up', 'down']
      for (const direction of directions) {
        const value = await measure(entry, { direction, rate: halfRate, seconds })
        if (turn > 0) note(`latency-${direction}`, entry.contender.name, value)
      }
    }
  }
  const versions = Object.fromEntries(
    entries.map(({ contender, server }) => [contender.name, server.version]),
  )
  const common = { clients, payloadBytes, rounds, secondsEach: seconds, nice, versions }
  for (const direction of ['up', 'down'] as const) {
    const full = columns.get(`full-${direction}`)
    const fixed = columns.get(`fixed-${direction}`)
    if (full === undefined || fixed === undefined) continue
    printFigure('turn-throughput', {
      direction,
      ratioToCoturn: ratios(full, (each) => each.packetsPerCpuSecond),
      packetsPerCpuSecond: medians(full, (each) => each.packetsPerCpuSecond),
      packetsPerSecond: medians(full, (each) => each.packetsPerSecond),
      missedByGenerator: medians(full, (each) => each.missedByGenerator),
      ...common,
    })
    printFigure('turn-cpu', {
      direction,
      packetsPerSecond: fixedRate,
      ratioToCoturn: ratios(fixed, (each) => each.cpuMicrosPerPacket),
      cpuMicrosPerPacket: medians(fixed, (each) => each.cpuMicrosPerPacket, 2),
      loss: medians(fixed, (each) => each.loss, 5),
      ...common,
    })
  }
  for (const [column, figure, of, digits] of [
    ['full', 'packets a CPU second, saturated', (each: Measured) => each.packetsPerCpuSecond, 0],
    ['full', 'packets a second, saturated', (each: Measured) => each.packetsPerSecond, 0],
    ['fixed', 'CPU a packet at 20 000/s, µs', (each: Measured) => each.cpuMicrosPerPacket, 2],
  ] as const) {
    for (const direction of ['up', 'down'] as const) {
      const rows = columns.get(`${column}-${direction}`)
      if (rows !== undefined) addRow(`${figure}, ${direction}`, roundsOf(rows, of), digits)
    }
  }
  const direct = columns.get('latency-direct')
  for (const direction of ['up', 'down'] as const) {
    const through = columns.get(`latency-${direction}`)
    if (through === undefined || direct === undefined) continue
    printFigure('turn-latency', {
      direction,
      packetsPerSecond: halfRate,
      addedMs: Object.fromEntries(
        (['p50', 'p99', 'p999'] as const).map((share) => [share, added(through, direct, share)]),
      ),
      directMs: Object.fromEntries(
        (['p50', 'p99', 'p999'] as const).map((share) => [
          share,
          medians(direct, (each) => each.latencyMs[share], 3),
        ]),
      ),
      loss: medians(through, (each) => each.loss, 5),
      ...common,
    })
    for (const share of ['p50', 'p99', 'p999'] as const) {
      const values = Object.entries(added(through, direct, share))
      addRow(
        `added latency at ${String(halfRate)}/s, ${share}, ${direction}, ms`,
        new Map(values.map(([name, value]) => [name, [value]])),
        3,
      )
    }
  }
}

function added(
  through: Column,
  direct: Column,
  share: 'p50' | 'p99' | 'p999',
): Record<string, number> {
  const way = medians(direct, (each) => each.latencyMs[share], 6)
  return Object.fromEntries(
    Object.entries(medians(through, (each) => each.latencyMs[share], 6)).map(([name, value]) => [
      name,
      round(value - (way[name] ?? 0), 3),
    ]),
  )
}

/** Half of what the slower of relay and coturn carried when saturated. */
async function halfLoad(entries: readonly Entry[], seconds: number): Promise<number> {
  let least = Infinity
  for (const entry of entries) {
    if (entry.contender.name !== 'relay' && entry.contender.name !== 'coturn') continue
    const { packetsPerSecond } = await measure(entry, {
      direction: 'up',
      rate: 'saturate',
      seconds,
    })
    least = Math.min(least, packetsPerSecond)
  }
  return Math.round(least / 2)
}

/** Values of a measure by contender, one a round. */
type Rounds = Map<string, number[]>

function noteIn(rounds: Rounds, name: string, value: number): void {
  rounds.set(name, [...(rounds.get(name) ?? []), value])
}

function middles(rounds: Rounds, digits = 0): Record<string, number> {
  return Object.fromEntries(
    [...rounds].map(([name, values]) => [name, round(median(values), digits)]),
  )
}

function ratiosIn(rounds: Rounds): Record<string, number> {
  const base = rounds.get('coturn')
  if (base === undefined) return {}
  return Object.fromEntries(
    [...rounds].flatMap(([name, values]) =>
      name === 'coturn'
        ? []
        : [[name, round(median(values.map((value, at) => value / (base[at] ?? value))), 2)]],
    ),
  )
}

async function perAllocation(
  generator: Generator,
  chosen: readonly Contender[],
  count: number,
  rounds: number,
): Promise<void> {
  const bytesPerAllocation: Rounds = new Map()
  const kernelBytesPerAllocation: Rounds = new Map()
  const idleMegabytes: Rounds = new Map()
  const allocationsPerSecond: Rounds = new Map()
  const allocationsPerCpuSecond: Rounds = new Map()
  const cpuMicrosPerCycle: Rounds = new Map()
  for (let turn = 0; turn < rounds; turn += 1) {
    for (const contender of chosen) {
      const { name } = contender
      const entry = await enter(generator, contender, count)
      await using _server = entry.server
      await using load = entry.load
      await sleep(1000)
      noteIn(idleMegabytes, name, (await residentKilobytes(entry.pids)) / 1024)
      // A few first: what the program sets up once is not the price of an allocation.
      await using few = await generator.open(`${name}-few-${String(entry.server.child.pid)}`, {
        server: { host: entry.server.host, port: entry.server.port },
        clients: 50,
        payloadBytes,
        credentials: Array.from({ length: 50 }, (_, index) => entry.server.credentialsFor(index)),
      })
      await few.allocate()
      await few.bind()
      await few.release()
      await sleep(1000)
      const before = { rss: await residentKilobytes(entry.pids), slab: await slabKilobytes() }
      const cpuBefore = await cpuMicroseconds(entry.pids)
      const { seconds, allocated, refused } = await load.allocate()
      const cpu = (await cpuMicroseconds(entry.pids)) - cpuBefore
      if (refused > 0) talk(`turn: ${name} refused ${String(refused)} allocations`)
      await load.bind()
      await sleep(3000)
      const after = { rss: await residentKilobytes(entry.pids), slab: await slabKilobytes() }
      const each = (kilobytes: number): number => (kilobytes * 1024) / allocated
      noteIn(bytesPerAllocation, name, each(after.rss - before.rss))
      noteIn(kernelBytesPerAllocation, name, each(after.slab - before.slab))
      noteIn(allocationsPerSecond, name, allocated / seconds)
      noteIn(allocationsPerCpuSecond, name, (allocated * 1e6) / cpu)
      const releaseBefore = await cpuMicroseconds(entry.pids)
      await load.release()
      const releasing = (await cpuMicroseconds(entry.pids)) - releaseBefore
      noteIn(cpuMicrosPerCycle, name, (cpu + releasing) / allocated)
      talk(
        `turn: round ${String(turn + 1)} ${name}: ` +
          `${String(round(each(after.rss - before.rss)))} B an allocation, ` +
          `${String(round((allocated * 1e6) / cpu))} allocations/CPU s`,
      )
    }
  }
  printFigure('turn-memory', {
    allocations: count,
    rounds,
    bytesPerAllocation: middles(bytesPerAllocation),
    ratioToCoturn: ratiosIn(bytesPerAllocation),
    kernelBytesPerAllocation: middles(kernelBytesPerAllocation),
    idleMegabytes: middles(idleMegabytes, 1),
  })
  printFigure('turn-allocations', {
    allocations: count,
    rounds,
    allocationsPerCpuSecond: middles(allocationsPerCpuSecond),
    ratioToCoturn: ratiosIn(allocationsPerCpuSecond),
    allocationsPerSecond: middles(allocationsPerSecond),
    cpuMicrosPerAllocateAndRelease: middles(cpuMicrosPerCycle),
  })
  addRow('memory of an allocation with one channel, bytes', bytesPerAllocation)
  addRow('allocations a CPU second, authenticated', allocationsPerCpuSecond)
  addRow('allocations a second', allocationsPerSecond)
  addRow('idle, all processes, MB', idleMegabytes, 1)
}

async function slabKilobytes(): Promise<number> {
  const info = await readFile('/proc/meminfo', 'utf8')
  return Number(/^Slab:\s+(\d+) kB$/m.exec(info)?.[1] ?? 0)
}

/** A call of 1 000 packets a second while strangers send a hundred times as many. */
async function floods(
  generator: Generator,
  chosen: readonly Contender[],
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<void> {
  const kinds: FloodKind[] = ['allocate', 'allocate-one', 'forged', 'forged-time', 'binding']
  for (const flood of [...kinds, 'garbage' as const]) {
    await using stack = new AsyncDisposableStack()
    const entries: Entry[] = []
    for (const contender of chosen) {
      const entry = await enter(generator, contender, 20, 'delivered')
      stack.use(entry.server)
      stack.use(entry.load)
      await entry.load.allocate()
      entries.push(entry)
    }
    const loss: Rounds = new Map()
    const growth: Rounds = new Map()
    const columns: Record<string, Rounds> = {
      floodPacketsPerSecond: new Map(),
      missedByServer: new Map(),
      answeredPerSecond: new Map(),
      bytesPerAnswer: new Map(),
      cpuSecondsPerSecond: new Map(),
    }
    const ended = new Set<string>()
    // Round 0 warms up and is thrown away: code that is compiled once is not what a flood costs.
    for (let turn = 0; turn <= rounds; turn += 1) {
      for (const entry of entries) {
        const { name } = entry.contender
        if (ended.has(name)) continue
        const before = await residentKilobytes(entry.pids)
        const settings = {
          direction: 'up',
          rate: 1000,
          seconds,
          flood,
          floodRate: 100_000,
        } as const
        const result = await measure(entry, settings).catch((error: unknown) => {
          talk(`turn: flood ${flood} on ${name}: ${String(error)}`)
        })
        if (result === undefined || entry.server.child.hasEnded()) {
          ended.add(name)
          continue
        }
        if (turn === 0) continue
        const cpuMicros = result.cpuMicrosPerPacket * result.received
        noteIn(loss, name, result.loss)
        noteIn(growth, name, (await residentKilobytes(entry.pids)) - before)
        const values: Record<string, number> = {
          floodPacketsPerSecond: result.flooded / result.seconds,
          missedByServer: result.missedByServer,
          answeredPerSecond: result.floodAnswers / result.seconds,
          bytesPerAnswer:
            result.floodAnswers > 0 ? result.floodAnswerBytes / result.floodAnswers : 0,
          cpuSecondsPerSecond: cpuMicros / 1e6 / result.seconds,
        }
        for (const [column, into] of Object.entries(columns)) {
          noteIn(into, name, values[column] ?? Number.NaN)
        }
        talk(
          `turn: flood ${flood} round ${String(turn)} ${name}: ` +
            `${String(round(result.loss * 100, 2))} % lost at ` +
            `${String(round(result.flooded / result.seconds))}/s`,
        )
      }
    }
    printFigure('turn-flood', {
      flood,
      seconds,
      rounds,
      loss: middles(loss, 5),
      residentGrowthKilobytes: middles(growth),
      ...Object.fromEntries(
        Object.entries(columns).map(([column, values]) => [column, middles(values, 2)]),
      ),
      ended: [...ended],
    })
    const percent = new Map([...loss].map(([name, values]) => [name, values.map((v) => v * 100)]))
    addRow(`flood ${flood}: the call's loss, %`, percent, 2)
    addRow(`flood ${flood}: packets a second`, columns['floodPacketsPerSecond'] ?? new Map())
    addRow(`flood ${flood}: memory, KB`, growth)
  }
}

/** All that one relay address may have at once, and a hundred more. */
async function live(generator: Generator): Promise<void> {
  const most = 16_000
  const beyond = 100
  const server = await startRelay({
    core: serverCore,
    nice,
    workers: 1,
    maxOpenFiles: most + 4000,
    // Half of them are the share of the process that serves streams.
    relayPorts: { from: 20_000, to: 60_999, restSeconds: 0 },
    limits: { refusalsPerSecond: 1_000_000, refusalsPerSecondInAll: 1_000_000 },
  })
  await using _server = server
  const open = (name: string, count: number): Promise<RemoteLoad> =>
    generator.open(name, {
      server: { host: server.host, port: server.port },
      clients: count,
      payloadBytes,
      credentials: Array.from({ length: count }, (_, index) => server.credentialsFor(index)),
    })
  await using load = await open('live', most)
  await using more = await open('live-beyond', beyond)
  const pids = await processTree(server.child.pid)
  const [filesBefore, before] = [await openFiles(pids), await residentKilobytes(pids)]
  const { seconds, allocated } = await load.allocate()
  const { refused } = await more.allocate()
  await load.bind()
  const metrics = await server.metrics()
  const [files, after] = [await openFiles(pids), await residentKilobytes(pids)]
  // Each of them carries some; at most four packets a second for each, so that none is lost.
  const { sent, received } = await load.run({ direction: 'down', rate: 16_000, seconds: 4 })
  await load.release()
  await sleep(1000)
  printFigure('turn-live', {
    allocated,
    refused,
    reached: metrics.get('turn_limits_total{limit="allocationsPerFamily"}'),
    seconds: round(seconds, 1),
    openFiles: files,
    residentMegabytes: round(after / 1024, 1),
    bytesPerAllocation: round(((after - before) * 1024) / allocated),
    sent,
    received,
    leftFiles: (await openFiles(pids)) - filesBefore,
  })
}

const table: string[] = []
const order = ['relay', 'coturn', 'relay-dgram', 'node-turn']

function addRow(figure: string, rounds: Rounds, digits = 0): void {
  const values = middles(rounds, digits)
  const relative = ratiosIn(rounds)
  const cells = [
    ...order.map((name) => values[name]),
    ...['relay', 'relay-dgram'].map((name) => relative[name]),
  ]
  table.push(`| ${[figure, ...cells.map((cell) => String(cell ?? '–'))].join(' | ')} |`)
}

function printTable(): void {
  const heads = ['figure (median)', ...order, 'relay / coturn', 'relay-dgram / coturn']
  talk([`| ${heads.join(' | ')} |`, `|${' --- |'.repeat(heads.length)}`, ...table].join('\n'))
}
