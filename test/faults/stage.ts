import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { startEngines, type RunningEngines } from '../../scripts/engines/start.ts'
import { gatherCrowd, within } from '../durability/crowd.ts'
import { recordHistory, type History, type HistoryRecorder } from '../durability/history.ts'
import { randomNumbers } from '../durability/random.ts'
import { judge, keep } from '../durability/verdict.ts'
import {
  startClusterProcesses,
  type ClusterProcesses,
  type ProcessName,
} from '../support/cluster-processes.ts'

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
  /** Whether sends may fail while it lasts: with a quorum gone they must. */
  readonly isOutage?: boolean
}

/** What a fault can do, and note. */
export interface Scene {
  readonly engines: RunningEngines
  readonly cluster: ClusterProcesses
  readonly recorder: HistoryRecorder
  /** Ends a process as power would, and starts it again after so long. */
  killFor(name: ProcessName, ms: number): Promise<void>
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

/** How long people write before a fault and after it. */
const calmMs = 2_000

export async function openStage(): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tricord-faults-'))
  opening.defer(() => rm(directory, { recursive: true, force: true }))
  const network = `127.77.${String(100 + (process.pid % 100))}`
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const engines = opening.use(await startEngines({ nodes: 3, network, directory, say }))
  const cluster = opening.use(
    await startClusterProcesses({
      engines,
      run: 'faults',
      config: { cannon: { consumableNotifications: true, drain: { graceSeconds: 0.3 } } },
    }),
  )
  const opened = opening.move()
  return {
    engines,
    cluster,
    withstand: (fault) => withstand(fault, engines, cluster),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
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
    await using crowd = gatherCrowd(recorder, randomNumbers(fault.seed))
    const { devices } = await crowd.begin(cluster)
    await within(20_000, 'everybody is online', () => devices.every((each) => each.isOnline))
    await sleep(calmMs)
    const beganMs = performance.now()
    const began = entries.length
    await fault.befall(sceneOf(engines, cluster, recorder))
    await sleep(calmMs)
    const sentence = describe(entries.slice(began), performance.now() - beganMs)
    await crowd.comeToRest()
    const faults = await judge(entries, crowd.frameFaults, [`${fault.name}: ${sentence.text}`])
    expect(faults).toEqual([])
    if (fault.isOutage !== true) expect(sentence.acknowledged).toBeGreaterThan(0)
  } catch (error) {
    const file = await keep(entries)
    const output = Object.entries(cluster.processes)
      .map(([name, server]) => `${name}: ${server.output().slice(-1500)}`)
      .join('\n')
    throw new Error(`${String(error)}\nhistory in ${file}\n${output}`, { cause: error })
  }
}

function sceneOf(
  engines: RunningEngines,
  cluster: ClusterProcesses,
  recorder: HistoryRecorder,
): Scene {
  const { record } = recorder
  return {
    engines,
    cluster,
    recorder,
    async killFor(name, ms) {
      const [service] = name.split('-')
      cluster.processes[name].kill('SIGKILL')
      await cluster.processes[name].exit
      record({ kind: 'server-ended', how: 'killed', service: service ?? name })
      await sleep(ms)
      await cluster.start(name)
      record({ kind: 'server-started', clockOffsetMs: 0 })
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
