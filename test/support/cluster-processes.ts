import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serviceNames } from '../../backend/src/compose/config.ts'
import { loadOrCreatePrivateKeys } from '../../backend/src/platform/zauth/keys.ts'
import { startHaproxy } from './haproxy.ts'
import { mergePages } from './merged-pages.ts'
import { freeListenerPorts, startServerProcess, type ServerProcess } from './server-process.ts'

type ServiceName = (typeof serviceNames)[number]
export type ProcessName = `${ServiceName}-${1 | 2}`

/** Two processes of every service on the same engines, behind HAProxy, as on two hosts. */
export interface ClusterProcesses extends AsyncDisposable {
  readonly url: string
  readonly ws: string
  readonly mailboxUrl: string
  readonly noticeboardUrl: string
  readonly processes: Readonly<Record<ProcessName, ServerProcess>>
  /** Starts one that has ended, at its old place. */
  start(name: ProcessName): Promise<void>
}

export const processNames: readonly ProcessName[] = serviceNames.flatMap((service) =>
  ([1, 2] as const).map((number): ProcessName => `${service}-${number}`),
)
const serviceOf = (name: ProcessName): ServiceName => name.slice(0, -2) as ServiceName

export interface ClusterOptions {
  /** Beyond the engines: switches of services. */
  readonly config?: Readonly<Record<string, unknown>>
  /** How to reach the engines. */
  readonly engines: Readonly<Record<string, unknown>>
  /** Another program for some processes, such as one with faults. */
  readonly entryOf?: (name: ProcessName) => string | undefined
  readonly nodeOptionsOf?: (name: ProcessName) => readonly string[]
}

export async function startClusterProcesses(options: ClusterOptions): Promise<ClusterProcesses> {
  await using starting = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'tricord-cluster-'))
  starting.defer(() => rm(folder, { recursive: true, force: true }))
  const ports = await freeListenerPorts([...processNames, 'front'])
  // What one host writes, the operator copies to the others.
  const keys = join(folder, 'zauth.keys')
  await loadOrCreatePrivateKeys(keys)
  const instances = Object.fromEntries(
    serviceNames
      .filter((service) => service !== 'nginz')
      .map((service) => [
        service,
        processNames
          .filter((name) => serviceOf(name) === service)
          .map((id) => ({ id, address: `http://127.0.0.1:${String(ports[id].internal)}` })),
      ]),
  )

  async function launch(name: ProcessName): Promise<ServerProcess> {
    const data = join(folder, name)
    await mkdir(data, { recursive: true })
    await copyFile(keys, join(data, 'zauth.keys'))
    const entry = options.entryOf?.(name)
    return startServerProcess({
      data,
      ports: ports[name],
      config: {
        instance: name,
        registry: { kind: 'static', instances },
        ...options.engines,
        ...options.config,
      },
      nodeOptions: options.nodeOptionsOf?.(name) ?? [],
      ...(entry === undefined ? {} : { entry }),
      args: ['--only', serviceOf(name)],
    })
  }

  const processes = {} as Record<ProcessName, ServerProcess>
  starting.defer(async () => {
    await Promise.all(Object.values(processes).map((one) => one[Symbol.asyncDispose]()))
  })
  // A few at a time: on a small machine a dozen starts at once are slower than one after another.
  for (let at = 0; at < processNames.length; at += 4) {
    await Promise.all(
      processNames.slice(at, at + 4).map(async (name) => {
        processes[name] = await launch(name)
      }),
    )
  }
  const balanced = (service: ServiceName, port: number) => ({
    port,
    servers: processNames
      .filter((name) => serviceOf(name) === service)
      .map((name) => ({ name, port: ports[name].listen, statusPort: ports[name].operator })),
  })
  starting.use(
    await startHaproxy({
      api: balanced('nginz', ports.front.listen),
      sockets: balanced('cannon', ports.front.internal),
    }),
  )
  const pagesOf = async (service: ServiceName): Promise<string> => {
    const urls = processNames
      .filter((name) => serviceOf(name) === service)
      .map((name) => `http://127.0.0.1:${String(ports[name].operator)}`)
    return starting.use(await mergePages(urls)).url
  }
  const [mailboxUrl, noticeboardUrl] = [await pagesOf('brig'), await pagesOf('gundeck')]
  const running = starting.move()
  return {
    url: `http://127.0.0.1:${String(ports.front.listen)}`,
    ws: `http://127.0.0.1:${String(ports.front.internal)}`,
    mailboxUrl,
    noticeboardUrl,
    processes,
    async start(name) {
      await processes[name].exit
      await processes[name][Symbol.asyncDispose]()
      processes[name] = await launch(name)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
