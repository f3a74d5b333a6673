import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { attachEngines, startEngines, type RunningEngines } from '../../scripts/engines/start.ts'
import { ringApi } from '../../backend/src/contract/gundeck/ring.ts'
import { httpClient } from '../../backend/src/platform/http/http-client.ts'
import { fixedUpstream } from '../../backend/src/platform/http/upstream.ts'
import { gatherCrowd, untilAllWereOnline, within } from '../durability/crowd.ts'
import { recordHistory, type History, type HistoryRecorder } from '../durability/history.ts'
import { registerPeople } from '../durability/people.ts'
import { randomNumbers } from '../durability/random.ts'
import { judge, keep } from '../durability/verdict.ts'
import {
  outputOf,
  processNames,
  startClusterProcesses,
  type ClusterProcesses,
  type ProcessName,
} from '../support/cluster-processes.ts'
import type { ServerProcess } from '../support/server-process.ts'
import type { RawClient } from '../support/wire/raw.ts'

/** Three nodes of each engine and two processes of each service, which faults befall. */
export interface Stage extends AsyncDisposable {
  readonly engines: RunningEngines
  readonly cluster: ClusterProcesses
  /** People write all the while; rejects with what was wrong, if anything. */
  withstand(fault: Fault): Promise<void>
}

export interface Fault {
  readonly name: string
  readonly seed: number
  /** Makes it happen, and repairs it. */
  befall(scene: Scene): Promise<void>
  /** What people do beside writing. */
  readonly meanwhile?: Pastime
  /** Whether sends may fail while it lasts: with a quorum gone they must. */
  readonly isOutage?: boolean
}

/** What one person does again and again while the fault lasts. */
export interface Pastime {
  readonly name: string
  /** Once; rejects when the server did not do it. */
  act(person: RawClient): Promise<void>
  /** When all is well again. Rejects when something that was done is not there. */
  check(person: RawClient): Promise<void>
}

/** What a fault can do, and note. */
export interface Scene {
  readonly engines: RunningEngines
  readonly cluster: ClusterProcesses
  readonly recorder: HistoryRecorder
  /** Ends a process as power would. */
  kill(name: ProcessName): Promise<void>
  start(name: ProcessName): Promise<void>
  /** Ends it so, and starts it again after so long. */
  killFor(name: ProcessName, ms: number): Promise<void>
  /** Stops it, and lets it live for so long in another way before it is itself again. */
  inAnotherWay(name: ProcessName, how: OtherWay): Promise<void>
  /** It stands still for so long, as a paused virtual machine does. */
  freezeFor(name: ProcessName, ms: number): Promise<void>
  /** A part that is not ours is gone or still for so long. */
  without(
    part: string,
    begin: () => Promise<void>,
    end: () => Promise<void>,
    ms: number,
  ): Promise<void>
}

export type OtherWay =
  /** Beyond the host's clock. */
  | { readonly clockOffsetMs: number; readonly ms: number }
  | {
      /** It kills itself when it passes this step for the n-th time. */
      readonly dieAt: string
      readonly times: number
      /** Brings it to the step, once it is ready. */
      readonly urge?: (server: ServerProcess) => Promise<void>
    }

/** A process that passes steps and has other clocks. */
const entry = 'test/durability/server.ts'
/** A step that is not passed by then will not be. */
const stepTimeoutMs = 20_000

/** How long people write before a fault and after it. */
const calmMs = 2_000
const warmUps = 10
/** An inbox does not change its owner twice in less. */
const movesMs = 1500
/** Between two sends: in haste ten people would keep a small machine so busy that nothing else starts. */
const longestPauseMs = 600

export async function openStage(): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const engines = await openEngines(opening)
  const cluster = opening.use(
    await startClusterProcesses({
      engines,
      run: `f${crypto.randomUUID().slice(0, 8)}`,
      config: { cannon: { consumableNotifications: true, drain: { graceSeconds: 0.3 } } },
    }),
  )
  await warmUp(cluster)
  const opened = opening.move()
  return {
    engines,
    cluster,
    withstand: (fault) => withstand(fault, engines, cluster),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The first requests meet engines that prepare and compile everything; those are no fault's doing. */
async function warmUp(cluster: ClusterProcesses): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await registerPeople(cluster, recordHistory(), { random: () => 0, isRestless: false })
      return
    } catch (error) {
      if (attempt === warmUps) throw error
      await sleep(1000)
    }
  }
}

/** Engines of its own; or those of the folder that `TRICORD_TEST_ENGINES` names, which stay. */
async function openEngines(opening: AsyncDisposableStack): Promise<RunningEngines> {
  const given = process.env['TRICORD_TEST_ENGINES']
  if (given !== undefined) return attachEngines({ directory: given })
  const directory = await mkdtemp(join(tmpdir(), 'tricord-faults-'))
  opening.defer(() => rm(directory, { recursive: true, force: true }))
  const network = `127.77.${String(100 + (process.pid % 100))}`
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  return opening.use(await startEngines({ nodes: 3, network, directory, say }))
}

async function withstand(
  fault: Fault,
  engines: RunningEngines,
  cluster: ClusterProcesses,
): Promise<void> {
  const recorder = recordHistory()
  const { record, entries } = recorder
  try {
    record({ kind: 'server-started', clockOffsetMs: 0 })
    await using crowd = gatherCrowd(recorder, randomNumbers(fault.seed), { longestPauseMs })
    const { devices } = await crowd.begin(cluster)
    await untilAllWereOnline(devices)
    await sleep(calmMs)
    const [first] = devices
    const pastime = startPastime(fault.meanwhile, first?.raw)
    const beganMs = performance.now()
    const began = entries.length
    await fault.befall(sceneOf(engines, cluster, recorder))
    await sleep(calmMs)
    const sentence = describe(entries.slice(began), performance.now() - beganMs)
    const pastimeText = await pastime.end()
    await crowd.comeToRest()
    const notes = [`${fault.name}: ${sentence.text}${pastimeText}`]
    const faults = await judge(entries, crowd.frameFaults, notes, { movesMs })
    expect(faults).toEqual([])
    if (fault.isOutage !== true) expect(sentence.acknowledged).toBeGreaterThan(0)
  } catch (error) {
    // At once: the report of the tests comes when all of them are over.
    console.log(`${fault.name}: failed: ${String(error)}`)
    const file = await keep(entries)
    const output = outputOf(cluster.processes, 1500)
    await mend(cluster)
    throw new Error(`${String(error)}\nhistory in ${file}\n${output}`, { cause: error })
  }
}

/** A fault that fails halfway must not stand in the way of the next one. */
async function mend(cluster: ClusterProcesses): Promise<void> {
  for (const name of processNames) {
    cluster.processes[name].kill('SIGCONT')
    const end = await Promise.race([cluster.processes[name].exit, sleep(100)])
    if (end !== undefined) await cluster.start(name).catch(() => undefined)
  }
}

function startPastime(
  pastime: Pastime | undefined,
  person: RawClient | undefined,
): { end(): Promise<string> } {
  if (pastime === undefined || person === undefined) return { end: async () => '' }
  let [done, failed, isOver, longestMs] = [0, 0, false, 0]
  const busy = (async () => {
    while (!isOver) {
      const beganMs = performance.now()
      await pastime.act(person).then(
        () => (done += 1),
        () => (failed += 1),
      )
      longestMs = Math.max(longestMs, performance.now() - beganMs)
      await sleep(100)
    }
  })()
  return {
    async end() {
      isOver = true
      await busy
      await pastime.check(person)
      expect(done).toBeGreaterThan(0)
      return (
        `; ${pastime.name}: ${String(done)} times, ${String(failed)} failed, ` +
        `longest ${String(Math.round(longestMs))} ms`
      )
    },
  }
}

function sceneOf(
  engines: RunningEngines,
  cluster: ClusterProcesses,
  recorder: HistoryRecorder,
): Scene {
  const { record } = recorder
  async function kill(name: ProcessName): Promise<void> {
    const [service = name] = name.split('-')
    cluster.processes[name].kill('SIGKILL')
    await cluster.processes[name].exit
    record({ kind: 'server-ended', how: 'killed', service })
  }
  async function start(name: ProcessName): Promise<void> {
    await cluster.start(name)
    record({ kind: 'server-started', clockOffsetMs: 0 })
  }
  return {
    engines,
    cluster,
    recorder,
    kill,
    start,
    async killFor(name, ms) {
      await kill(name)
      await sleep(ms)
      await start(name)
    },
    async inAnotherWay(name, how) {
      const [service = name] = name.split('-')
      const server = (): ServerProcess => cluster.processes[name]
      server().kill('SIGTERM')
      await server().exit
      record({ kind: 'server-ended', how: 'stopped', service })
      if ('dieAt' in how) {
        await dieAt(cluster, name, how)
        record({ kind: 'server-ended', how: 'killed', service, step: how.dieAt })
      } else {
        const { clockOffsetMs, ms } = how
        await cluster.start(name, { entry, args: [`--clock-offset-ms=${String(clockOffsetMs)}`] })
        record({ kind: 'server-started', clockOffsetMs })
        await sleep(ms)
        server().kill('SIGTERM')
        await server().exit
        record({ kind: 'server-ended', how: 'stopped', service })
      }
      await start(name)
    },
    async freezeFor(name, ms) {
      cluster.processes[name].kill('SIGSTOP')
      await sleep(ms)
      cluster.processes[name].kill('SIGCONT')
      record({ kind: 'server-frozen', ms })
    },
    async without(part, begin, end, ms) {
      record({ kind: 'server-ended', how: 'killed', service: part })
      await begin()
      await sleep(ms)
      await end()
      record({ kind: 'server-started', clockOffsetMs: 0 })
    },
  }
}

/** Starts one that ends itself at a step, and waits until it has. */
async function dieAt(
  cluster: ClusterProcesses,
  name: ProcessName,
  how: Extract<OtherWay, { dieAt: string }>,
): Promise<void> {
  const step = `${how.dieAt}:${String(how.times)}`
  try {
    await cluster.start(name, { entry, args: [`--die-at=${step}`] })
  } catch (error) {
    // It may die before it is ready.
    if (String(error).includes('SIGKILL')) return
    throw error
  }
  const server = cluster.processes[name]
  await how.urge?.(server)
  const end = await Promise.race([server.exit, sleep(stepTimeoutMs)])
  if (end === 'SIGKILL') return
  server.kill('SIGKILL')
  throw new Error(`${name} did not come to ${step}\n${server.output()}`)
}

/** Resolves when this gundeck keeps inboxes. */
export async function untilItOwns(server: ServerProcess, instance: string): Promise<void> {
  const gundeck = httpClient(ringApi, { upstream: fixedUpstream(server.internalUrl) })
  await within(30_000, `${instance} keeps inboxes`, async () => {
    const { body } = await gundeck.getRing({ body: {} })
    return body.shards.some((owner) => body.owners[owner]?.id.startsWith(`${instance}/`) === true)
  })
}

/** How sending went while the fault lasted: the longest time without an acknowledgement, and counts. */
function describe(entries: History, lastedMs: number): { text: string; acknowledged: number } {
  const times = entries.filter(({ kind }) => kind === 'acknowledged').map(({ atMs }) => atMs)
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? time))
  const count = (kind: string): number => entries.filter((entry) => entry.kind === kind).length
  const acknowledged = count('acknowledged')
  const text =
    `lasted ${String(Math.round(lastedMs))} ms, longest pause between acknowledged sends ` +
    `${String(Math.round(Math.max(0, ...pauses)))} ms, ${String(acknowledged)} acknowledged, ` +
    `${String(count('refused'))} refused, ${String(count('unknown'))} unknown`
  return { text, acknowledged }
}
