import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serviceNames, type ServiceName } from '../../backend/src/compose/config.ts'
import { engineOf, type RunningEngines } from '../../scripts/engines/start.ts'
import { runJobs, settingsFor } from '../engines/settings.ts'
import { startHaproxy, type Front } from './haproxy.ts'
import { mergePages } from './merged-pages.ts'
import { freeListenerPorts, startServerProcess, type ServerProcess } from './server-process.ts'

export type ProcessName = `${ServiceName}-${1 | 2}`

/** Two processes of every service on the same engines, behind HAProxy, as on two hosts. */
export interface ClusterProcesses extends AsyncDisposable {
  readonly url: string
  readonly ws: string
  readonly mailboxUrl: string
  readonly noticeboardUrl: string
  readonly processes: Readonly<Record<ProcessName, ServerProcess>>
  /** Starts one that has ended, at its old place. */
  start(name: ProcessName, how?: StartOptions): Promise<void>
}

export interface StartOptions {
  /** Another program than the server's, such as one with faults. */
  readonly entry?: string
  readonly args?: readonly string[]
}

export interface ClusterOptions {
  readonly engines: RunningEngines
  /** Names what this run keeps in the engines: a small letter, then letters and digits. */
  readonly run: string
  /** Beyond the engines: switches of services. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Replies are held against the shapes of their API version. */
  readonly isChecked?: boolean
}

export const processNames: readonly ProcessName[] = serviceNames.flatMap((service) =>
  ([1, 2] as const).map((number): ProcessName => `${service}-${number}`),
)
export const serviceOf = (name: ProcessName): ServiceName => name.slice(0, -2) as ServiceName
const namesOf = (service: ServiceName): ProcessName[] =>
  processNames.filter((name) => serviceOf(name) === service)

/** The end of what each of them printed. */
export const outputOf = (processes: ClusterProcesses['processes'], chars = 20_000): string =>
  processNames.map((name) => `${name}:\n${processes[name].output().slice(-chars)}\n`).join('\n')

/** At a time: on a small machine a dozen starts at once are slower than a few after a few. */
const startsAtOnce = 4

/** Runs the jobs, then starts the services. */
export async function startClusterProcesses(options: ClusterOptions): Promise<ClusterProcesses> {
  await using starting = new AsyncDisposableStack()
  const { engines, run } = options
  const folder = await mkdtemp(join(tmpdir(), 'tricord-cluster-'))
  starting.defer(() => rm(folder, { recursive: true, force: true }))
  const { fronts: front, ...ports } = await freeListenerPorts([...processNames, 'fronts'])
  const objects = balance('objects', front.operator, '/minio/health/cluster/read', [
    ...engineOf(engines, 'minio').addresses.entries(),
  ])
  starting.use(
    await startHaproxy([
      objects,
      balanceProcesses('api', front.listen, 'nginz'),
      balanceProcesses('sockets', front.internal, 'cannon'),
    ]),
  )
  // Nobody stands between us and an object store whose certificate names its own address.
  const [store = ''] = engineOf(engines, 'minio').addresses
  const endpoint = engines.tls === undefined ? urlOf(objects) : `https://${store}`
  const settings = await settingsFor(engines, { run, folder, objects: endpoint })
  await runJobs(settings, folder)

  const launch = (name: ProcessName, { entry, args = [] }: StartOptions = {}) =>
    startServerProcess({
      data: folder,
      ports: ports[name],
      config: { ...settings, ...options.config, instance: name },
      nodeOptions: options.isChecked === true && name.startsWith('nginz') ? checking : [],
      ...(entry === undefined ? {} : { entry }),
      args: ['--only', serviceOf(name), ...args],
    })
  const processes = {} as Record<ProcessName, ServerProcess>
  starting.defer(async () => {
    await Promise.all(Object.values(processes).map((one) => one[Symbol.asyncDispose]()))
  })
  // The first makes what all share, such as the keys that sign tokens.
  const [first, ...others] = processNames
  if (first !== undefined) processes[first] = await launch(first)
  for (let at = 0; at < others.length; at += startsAtOnce) {
    const started = await Promise.allSettled(
      others.slice(at, at + startsAtOnce).map(async (name) => {
        processes[name] = await launch(name)
      }),
    )
    // Only when the others of its round are known, too, so that all of them are ended.
    const failed = started.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
  const pagesOf = async (service: ServiceName): Promise<string> => {
    const urls = namesOf(service).map((name) => processes[name].mailboxUrl)
    return starting.use(await mergePages(urls)).url
  }
  const [mailboxUrl, noticeboardUrl] = [await pagesOf('brig'), await pagesOf('gundeck')]
  const url = `http://127.0.0.1:${String(front.listen)}`
  const ws = `http://127.0.0.1:${String(front.internal)}`
  await Promise.all([url, ws].map(untilServed))
  const running = starting.move()
  return {
    url,
    ws,
    mailboxUrl,
    noticeboardUrl,
    processes,
    async start(name, how) {
      await processes[name].exit
      await processes[name][Symbol.asyncDispose]()
      processes[name] = await launch(name, how)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }

  function balanceProcesses(name: string, port: number, service: ServiceName): Front {
    return {
      name,
      port,
      balance: service === 'cannon' ? 'leastconn' : 'roundrobin',
      checkPath: '/i/status',
      servers: namesOf(service).map((process) => ({
        name: process,
        address: `127.0.0.1:${String(ports[process].listen)}`,
        checkPort: ports[process].operator,
      })),
    }
  }
}

const checking = ['--import', './test/conformance/preload.ts']

const balance = (
  name: string,
  port: number,
  checkPath: string,
  addresses: readonly (readonly [number, string])[],
): Front => ({
  name,
  port,
  balance: 'roundrobin',
  checkPath,
  servers: addresses.map(([index, address]) => ({ name: `${name}-${String(index)}`, address })),
})

/** HAProxy has heard of a server that is ready at its next check only. */
async function untilServed(url: string): Promise<void> {
  const lateMs = performance.now() + 10_000
  while ((await fetch(url)).status === 503) {
    if (performance.now() > lateMs) throw new Error(`nobody answers behind ${url}`)
    await sleep(50)
  }
}

const urlOf = ({ port }: Front): string => `http://127.0.0.1:${String(port)}`
