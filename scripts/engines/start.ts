/**
 * Engines for developers and tests: starts what is not running yet and hands out a handle to each
 * node. Everything of one call lies in one directory and on one loopback network, so that several
 * can run beside each other.
 */
import { access, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCatalogue } from './catalogue.ts'
import { makeCredentials, readCredentials } from './credentials.ts'
import { type Cluster, type Engine, type EngineName, engineNames } from './engine.ts'
import { defaultCache, fetchPart, partTarget } from './fetch/fetch.ts'
import { engines } from './kinds/all.ts'
import { defaultDirectory, defaultNetwork, nodesOf } from './layout.ts'
import { withLock } from './lock.ts'
import { type RunningNode, runningNode, tail } from './node.ts'
import { type Plan, readPlan, settlePlan, writePlan } from './plan.ts'
import type { TlsFiles } from './engine.ts'

export interface EngineOptions {
  /** All if left out. Redis brings Sentinel along. */
  names?: readonly EngineName[]
  /** 1 unless the directory was set up with 3. */
  nodes?: 1 | 3
  /** First three numbers of a loopback network; 127.77.0 if left out. */
  network?: string
  /** Certificates and passwords. */
  isSecure?: boolean
  /** Data, configuration and logs. Per network if left out. */
  directory?: string
  /** Fetched parts. */
  cache?: string
  say?: (line: string) => void
  signal?: AbortSignal
}

export interface RunningEngine {
  readonly name: EngineName
  /** HOST:PORT of every node, in order. */
  readonly addresses: readonly string[]
  readonly nodes: readonly RunningNode[]
  /** All nodes answer and have found one another. */
  isWhole: () => Promise<boolean>
  /** Accounts and the like; repeatable. */
  prepare: () => Promise<void>
  untilWhole: (options?: { limitMs?: number; signal?: AbortSignal | undefined }) => Promise<void>
}

export interface RunningEngines extends AsyncDisposable {
  readonly plan: Plan
  readonly directory: string
  readonly engines: Readonly<Partial<Record<EngineName, RunningEngine>>>
  /** Names of files below `credentials/` to what stands in them. */
  readonly credentials: Readonly<Record<string, string>>
  readonly tls: TlsFiles | undefined
  /** Ends all of them cleanly; data stays. Disposing does the same. */
  stop: () => Promise<void>
}

/** The engine by name; throws if it is not among those that were started. */
export function engineOf(running: RunningEngines, name: EngineName): RunningEngine {
  const found = running.engines[name]
  if (found === undefined) throw new Error(`${name} is not among the engines that were started`)
  return found
}

export function namesOrAll(names: readonly EngineName[] | undefined): EngineName[] {
  if (names === undefined || names.length === 0) return [...engineNames]
  const wanted = new Set(names)
  // One is of no use without the other.
  if (wanted.has('redis') || wanted.has('sentinel')) wanted.add('redis').add('sentinel')
  return engineNames.filter((name) => wanted.has(name))
}

interface Place {
  directory: string
  plan: Plan
}

async function placeOf(options: EngineOptions): Promise<Place> {
  const network = options.network
  const directory = options.directory ?? defaultDirectory(network ?? defaultNetwork)
  const found = await readPlan(directory)
  const plan = settlePlan(
    found,
    {
      ...(network === undefined ? {} : { network }),
      ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
      ...(options.isSecure === undefined ? {} : { isSecure: options.isSecure }),
    },
    directory,
  )
  return { directory, plan }
}

/** Handles to engines that may or may not run; starts and fetches nothing. */
export async function attachEngines(options: EngineOptions): Promise<RunningEngines> {
  const { directory, plan } = await placeOf(options)
  const catalogue = await readCatalogue()
  const cache = options.cache ?? defaultCache()
  const parts: Record<string, string> = {}
  for (const name of Object.keys(catalogue.parts)) {
    parts[name] = await partTarget(catalogue, name, cache)
  }
  const { credentials, tls } = await readCredentials(directory, plan)
  const attached: Partial<Record<EngineName, RunningEngine>> = {}
  for (const name of namesOrAll(options.names)) {
    const cluster: Cluster = {
      name,
      nodes: nodesOf(name, { ...plan, directory }),
      parts,
      credentials,
      tls,
    }
    attached[name] = attachEngine(engines[name], cluster)
  }
  const stop = async (): Promise<void> => {
    await Promise.all(
      Object.values(attached).flatMap((engine) => engine.nodes.map((node) => node.stop())),
    )
  }
  return {
    plan,
    directory,
    engines: attached,
    credentials,
    tls,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const wholeLimitMs = 120_000

function attachEngine(engine: Engine, cluster: Cluster): RunningEngine {
  const nodes = cluster.nodes.map((node) => runningNode(engine, cluster, node))
  const isWhole = (): Promise<boolean> => engine.isWhole(cluster, AbortSignal.timeout(5000))
  return {
    name: cluster.name,
    addresses: nodes.map((node) => node.address),
    nodes,
    isWhole,
    prepare: async () => engine.prepare?.(cluster),
    async untilWhole(options = {}) {
      const limitMs = options.limitMs ?? wholeLimitMs
      const deadlineMs = performance.now() + limitMs
      while (!(await isWhole())) {
        options.signal?.throwIfAborted()
        if (performance.now() > deadlineMs) {
          const logs = await Promise.all(
            nodes.map(async (node) => `${node.log}:\n${await tail(node.log, 5)}`),
          )
          throw new Error(
            `the nodes of ${cluster.name} did not find one another within ` +
              `${String(limitMs / 1000)} s\n${logs.join('\n')}`,
          )
        }
        await sleep(200)
      }
    },
  }
}

/** Resolves when all answer. Engines that run already are left as they are. */
export async function startEngines(options: EngineOptions): Promise<RunningEngines> {
  if (process.platform !== 'linux') {
    throw new Error(`the engines run on Linux only; this is ${process.platform}`)
  }
  const say = options.say ?? ((): void => undefined)
  const { signal } = options
  const names = namesOrAll(options.names)
  const catalogue = await readCatalogue()
  const cache = options.cache ?? defaultCache()
  for (const part of new Set(names.flatMap((name) => engines[name].parts))) {
    await fetchPart(catalogue, part, { cache, say, signal })
  }
  const { directory, plan } = await placeOf(options)
  await mkdir(directory, { recursive: true })
  return withLock(join(directory, 'lock'), { say, signal }, async () => {
    await writePlan(directory, plan)
    await makeCredentials(directory, plan)
    const running = await attachEngines({ ...options, names, directory })
    const outcomes = await Promise.allSettled(
      Object.values(running.engines).map((engine) =>
        bringUp(engine, directory, engines[engine.name].order, say, signal),
      ),
    )
    const failures = outcomes.flatMap((one) =>
      one.status === 'rejected' ? [one.reason as unknown] : [],
    )
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, 'several engines did not start')
    return running
  })
}

async function bringUp(
  engine: RunningEngine,
  directory: string,
  order: Engine['order'],
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const startedMs = performance.now()
  const seconds = (): string => ((performance.now() - startedMs) / 1000).toFixed(1)
  const states = await Promise.all(engine.nodes.map((node) => node.state()))
  const isUp = states.every((state) => state === 'running') && (await engine.isWhole())
  const formed = join(directory, `${engine.name}.formed`)
  if (isUp) {
    say(`${engine.name} is up`)
  } else {
    say(`${engine.name} starts ...`)
    const isFormed = await access(formed).then(
      () => true,
      () => false,
    )
    const startNode = async (node: RunningNode): Promise<void> => {
      await node.start({ signal })
      if (engine.nodes.length > 1) {
        say(`${engine.name} ${String(node.index)} answers (${seconds()} s)`)
      }
    }
    if (order === 'together' || isFormed) await Promise.all(engine.nodes.map(startNode))
    else for (const node of engine.nodes) await startNode(node)
    await engine.untilWhole({ signal })
    await engine.prepare()
    say(`${engine.name} is up at ${engine.addresses.join(', ')} (${seconds()} s)`)
  }
  await writeFile(formed, '')
}
