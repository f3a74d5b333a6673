import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serviceNames } from '../../backend/src/compose/config.ts'
import { freePorts, startServerProcess, type ServerProcess } from './server-process.ts'

/** One process per service over HTTP, as on a host; clients come in at nginz and cannon. */
export interface SplitProcesses extends AsyncDisposable {
  readonly url: string
  readonly mailboxUrl: string
  /** Sockets go to cannon, which checks tokens itself. */
  readonly ws: string
  readonly processes: Readonly<Record<(typeof serviceNames)[number], ServerProcess>>
  restart(service: (typeof serviceNames)[number]): Promise<void>
}

const checking = ['--import', './test/conformance/preload.ts']

/** With `isChecked`, replies are held against the shapes of their API version, as in one process. */
export async function startSplitProcesses(
  config: Readonly<Record<string, unknown>> = {},
  { isChecked = false } = {},
): Promise<SplitProcesses> {
  const data = await mkdtemp(join(tmpdir(), 'tricord-split-'))
  const listen = await freePorts(serviceNames.length)
  const operator = await freePorts(serviceNames.length)
  const portsOf = (index: number) => ({
    listen: listen[index] ?? 0,
    operator: operator[index] ?? 0,
  })
  const instances = Object.fromEntries(
    serviceNames.map((service, index) => [
      service,
      [{ id: `${service}-1`, address: `http://127.0.0.1:${String(portsOf(index).listen)}` }],
    ]),
  )
  const start = (index: number): Promise<ServerProcess> =>
    startServerProcess({
      data,
      ports: portsOf(index),
      config: { ...config, registry: { kind: 'static', instances } },
      nodeOptions: isChecked && serviceNames[index] === 'nginz' ? checking : [],
      args: ['--only', serviceNames[index] ?? ''],
    })
  const started = await Promise.all(serviceNames.map((_, index) => start(index)))
  const processes = Object.fromEntries(
    serviceNames.map((service, index) => [service, started[index]]),
  ) as Record<(typeof serviceNames)[number], ServerProcess>
  return {
    url: processes.nginz.url,
    ws: processes.cannon.url,
    mailboxUrl: processes.brig.mailboxUrl,
    processes,
    async restart(service) {
      await processes[service][Symbol.asyncDispose]()
      processes[service] = await start(serviceNames.indexOf(service))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(processes).map((one) => one[Symbol.asyncDispose]()))
      await rm(data, { recursive: true, force: true })
    },
  }
}
