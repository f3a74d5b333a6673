import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { ServiceName } from '../../backend/src/compose/config.ts'
import { startBalancer } from './balancer.ts'
import { freeListenerPorts, startServerProcess, type ServerProcess } from './server-process.ts'

/** Two processes of each service that can have two, on real engines; clients come in at either. */
export interface EngineProcesses extends AsyncDisposable {
  readonly url: string
  /** Sockets go to either cannon. */
  readonly ws: string
  readonly mailboxUrl: string
  readonly names: readonly string[]
  /** By name, `gundeck-1` for example. */
  process(name: string): ServerProcess
  /** Of one that has ended. */
  start(name: string): Promise<void>
}

/**
 * What one file on one machine holds has one process: brig its dev mailbox and its search index,
 * cargohold its objects.
 */
const counts: Readonly<Record<ServiceName, number>> = {
  brig: 1,
  galley: 2,
  gundeck: 2,
  cannon: 2,
  cargohold: 1,
  nginz: 2,
}

const checking = ['--import', './test/conformance/preload.ts']

export interface EngineProcessesOptions {
  /** `host:port` of Cassandra nodes. */
  readonly cassandra: readonly string[]
  /** Beginning of keyspaces whose tables are there; made anew under a name of their own if absent. */
  readonly keyspace?: string
  readonly config?: Readonly<Record<string, unknown>>
  /** Replies are held against the shapes of their API version. */
  readonly isChecked?: boolean
}

/** Starts them in a keyspace of their own, which `cassandra-migrations` makes first. */
export async function startEngineProcesses(
  options: EngineProcessesOptions,
): Promise<EngineProcesses> {
  const { cassandra, config = {}, isChecked = false } = options
  const data = await mkdtemp(join(tmpdir(), 'tricord-engines-'))
  const keyspace = options.keyspace ?? `test_${randomBytes(4).toString('hex')}`
  const wideColumn = {
    kind: 'cassandra',
    contactPoints: cassandra,
    localDatacenter: 'dc1',
    keyspace,
  }
  const services = Object.entries(counts) as [ServiceName, number][]
  const serviceOf = new Map<string, ServiceName>(
    services.flatMap(([service, count]) =>
      Array.from({ length: count }, (_, index) => [`${service}-${String(index + 1)}`, service]),
    ),
  )
  const names = [...serviceOf.keys()]
  const ports = await freeListenerPorts(names)
  const instances = Object.fromEntries(
    services
      .filter(([service]) => service !== 'nginz')
      .map(([service]) => [
        service,
        names
          .filter((name) => serviceOf.get(name) === service)
          .map((id) => ({ id, address: `http://127.0.0.1:${String(ports[id]?.internal)}` })),
      ]),
  )
  if (options.keyspace === undefined) await migrate(data, wideColumn)

  const start = (name: string): Promise<ServerProcess> => {
    const service = serviceOf.get(name)
    const own = ports[name]
    if (service === undefined || own === undefined) throw new Error(`there is no ${name}`)
    return startServerProcess({
      data,
      ports: own,
      config: {
        ...config,
        wideColumn,
        instance: name,
        registry: { kind: 'static', instances },
      },
      nodeOptions: isChecked && service === 'nginz' ? checking : [],
      args: ['--only', service],
      // Nine processes at once on two cores.
      readyTimeoutMs: 180_000,
    })
  }
  const processes = new Map<string, ServerProcess>()
  // The first one makes what all share, such as the keys that sign tokens.
  for (const name of ['brig-1']) processes.set(name, await start(name))
  await Promise.all(
    names
      .filter((name) => !processes.has(name))
      .map(async (name) => processes.set(name, await start(name))),
  )
  const process = (name: string): ServerProcess => {
    const found = processes.get(name)
    if (found === undefined) throw new Error(`there is no ${name}`)
    return found
  }
  const urlsOf = (service: ServiceName): string[] =>
    names.filter((name) => serviceOf.get(name) === service).map((name) => process(name).url)
  const api = await startBalancer(urlsOf('nginz'))
  const sockets = await startBalancer(urlsOf('cannon'))
  return {
    url: api.url,
    ws: sockets.url,
    mailboxUrl: process('brig-1').mailboxUrl,
    names,
    process,
    async start(name) {
      processes.set(name, await start(name))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([api[Symbol.asyncDispose](), sockets[Symbol.asyncDispose]()])
      await Promise.all([...processes.values()].map((one) => one[Symbol.asyncDispose]()))
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Runs the job that makes the tables, as an operator does before the first start. */
async function migrate(data: string, wideColumn: object): Promise<void> {
  const file = join(data, 'jobs.yaml')
  await writeFile(file, stringify({ data, wideColumn }))
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      'backend/src/main.mjs',
      'cassandra-migrations',
      '--config',
      file,
    ],
    { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => (output += text))
  }
  const code = await new Promise((resolve) => child.once('exit', resolve))
  if (code !== 0) throw new Error(`cassandra-migrations ended with ${String(code)}:\n${output}`)
}
