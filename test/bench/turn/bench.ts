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
import { cpuMicroseconds, processTree, residentKilobytes } from '../../turn/support/server-child.ts'
import type { TurnServer } from '../../turn/support/turn-server.ts'
import { printFigure, round, talk } from '../figure.ts'
import { startGenerator, type Generator, type RemoteLoad } from './generator-process.ts'
import type { Direction, FloodKind, RunResult, RunSettings } from './load.ts'

export interface TurnBenchSettings {
  readonly isQuick: boolean
  /** Which parts: throughput, latency, memory, flood; all when empty. */
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

const contenders: readonly Contender[] = [
  {
    name: 'relay',
    start: (_clients, limits) =>
      startRelay({
        core: serverCore,
        nice,
        limits: limits === 'raised' ? raisedLimits : {},
        workers: 1,
      }),
    hasChannelsUp: true,
  },
  {
    name: 'coturn',
    start: () => startCoturn({ core: serverCore, nice }),
    hasChannelsUp: true,
  },
  {
    name: 'relay-dgram',
    start: () =>
      startRelay({ core: serverCore, nice, limits: raisedLimits, workers: 1, io: 'dgram' }),
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
  if (isWanted('memory')) await perAllocation(generator, lasting, isQuick ? 1000 : 4000)
  if (isWanted('flood')) await floods(generator, lasting, isQuick ? 3 : 10)
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

function ratios(column: Column, of: (each: Measured) => number): Record<string, number> {
  const base = column.get('coturn')
  if (base === undefined) return {}
  const all: Record<string, number> = {}
  for (const [name, rounds] of column) {
    if (name === 'coturn') continue
    const each = rounds.map((value, index) => of(value) / of(base[index] ?? value))
    all[name] = round(median(each), 2)
  }
  return all
}

function medians(
  column: Column,
  of: (each: Measured) => number,
  digits = 0,
): Record<string, number> {
  return Object.fromEntries(
    [...column].map(([name, rounds]) => [name, round(median(rounds.map(of)), digits)]),
  )
}

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

async function perAllocation(
  generator: Generator,
  chosen: readonly Contender[],
  count: number,
): Promise<void> {
  const bytesPerAllocation: Record<string, number> = {}
  const kernelBytesPerAllocation: Record<string, number> = {}
  const idleMegabytes: Record<string, number> = {}
  const allocationsPerSecond: Record<string, number> = {}
  const allocationsPerCpuSecond: Record<string, number> = {}
  const cpuMicrosPerCycle: Record<string, number> = {}
  for (const contender of chosen) {
    const entry = await enter(generator, contender, count)
    await using _server = entry.server
    await using load = entry.load
    await sleep(1000)
    idleMegabytes[contender.name] = round((await residentKilobytes(entry.pids)) / 1024, 1)
    // A few first: what the program sets up once is not the price of an allocation.
    await using few = await generator.open(`${contender.name}-few`, {
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
    if (refused > 0) talk(`turn: ${contender.name} refused ${String(refused)} allocations`)
    await load.bind()
    await sleep(3000)
    const after = { rss: await residentKilobytes(entry.pids), slab: await slabKilobytes() }
    const each = (kilobytes: number): number => round((kilobytes * 1024) / allocated)
    bytesPerAllocation[contender.name] = each(after.rss - before.rss)
    kernelBytesPerAllocation[contender.name] = each(after.slab - before.slab)
    allocationsPerSecond[contender.name] = round(allocated / seconds)
    allocationsPerCpuSecond[contender.name] = round((allocated * 1e6) / cpu)
    const releaseBefore = await cpuMicroseconds(entry.pids)
    await load.release()
    const releasing = (await cpuMicroseconds(entry.pids)) - releaseBefore
    cpuMicrosPerCycle[contender.name] = round((cpu + releasing) / allocated)
    talk(`turn: ${contender.name}: ${String(bytesPerAllocation[contender.name])} B an allocation`)
  }
  printFigure('turn-memory', {
    allocations: count,
    bytesPerAllocation,
    kernelBytesPerAllocation,
    idleMegabytes,
  })
  printFigure('turn-allocations', {
    allocations: count,
    allocationsPerCpuSecond,
    allocationsPerSecond,
    cpuMicrosPerAllocateAndRelease: cpuMicrosPerCycle,
  })
}

async function slabKilobytes(): Promise<number> {
  const info = await readFile('/proc/meminfo', 'utf8')
  return Number(/^Slab:\s+(\d+) kB$/m.exec(info)?.[1] ?? 0)
}

async function floods(
  generator: Generator,
  chosen: readonly Contender[],
  seconds: number,
): Promise<void> {
  const kinds: FloodKind[] = ['allocate', 'allocate-one', 'forged', 'garbage']
  for (const flood of kinds) {
    const figures: Record<string, unknown> = {}
    for (const contender of chosen) {
      const entry = await enter(generator, contender, 20, 'delivered')
      await using server = entry.server
      await using load = entry.load
      await load.allocate()
      // Packets through every path once, then the flood: its growth alone is counted.
      await measure(entry, { direction: 'up', rate: 2000, seconds: 1 })
      await measure(entry, { direction: 'up', rate: 2000, seconds: 0.5, flood, floodRate: 10_000 })
      await sleep(500)
      const before = await residentKilobytes(entry.pids)
      const result = await measure(entry, {
        direction: 'up',
        rate: 1000,
        seconds,
        flood,
        floodRate: 100_000,
      }).catch((error: unknown) => ({ error: String(error) }))
      const after = await residentKilobytes(entry.pids)
      if ('error' in result) {
        figures[contender.name] = { ...result, hasEnded: server.child.hasEnded() }
        continue
      }
      figures[contender.name] = {
        residentGrowthKilobytes: after - before,
        loss: round(result.loss, 5),
        floodPacketsPerSecond: round(result.flooded / result.seconds),
        answered: round(result.floodAnswers / result.flooded, 4),
        bytesPerAnswer:
          result.floodAnswers > 0 ? round(result.floodAnswerBytes / result.floodAnswers) : 0,
        hasEnded: server.child.hasEnded(),
      }
      talk(`turn: flood ${flood} on ${contender.name}: ${JSON.stringify(figures[contender.name])}`)
    }
    printFigure('turn-flood', { flood, seconds, ...figures })
  }
}
