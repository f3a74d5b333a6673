import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serviceNames } from '../../backend/src/compose/config.ts'
import { freeListenerPorts, startServerProcess, type ServerProcess } from './server-process.ts'

/** One process per service over HTTP, as on a host; clients come in at nginz and cannon. */
export interface SplitProcesses extends AsyncDisposable {
  readonly url: string
  readonly mailboxUrl: string
  readonly noticeboardUrl: string
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
  const ports = await freeListenerPorts(serviceNames)
  const instances = Object.fromEntries(
    serviceNames
      .filter((service) => service !== 'nginz')
      .map((service) => [
        service,
        [{ id: `${service}-1`, address: `http://127.0.0.1:${String(ports[service].internal)}` }],
      ]),
  )
  const start = (service: (typeof serviceNames)[number]): Promise<ServerProcess> =>
    startServerProcess({
      data,
      ports: ports[service],
      config: { ...config, registry: { kind: 'static', instances } },
      nodeOptions: isChecked && service === 'nginz' ? checking : [],
      args: ['--only', service],
    })
  const started = await Promise.all(
    serviceNames.map(async (service) => [service, await start(service)] as const),
  )
  const processes = Object.fromEntries(started) as Record<
    (typeof serviceNames)[number],
    ServerProcess
  >
  return {
    url: processes.nginz.url,
    ws: processes.cannon.url,
    mailboxUrl: processes.brig.mailboxUrl,
    noticeboardUrl: processes.gundeck.mailboxUrl,
    processes,
    async restart(service) {
      await processes[service][Symbol.asyncDispose]()
      processes[service] = await start(service)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(processes).map((one) => one[Symbol.asyncDispose]()))
      await rm(data, { recursive: true, force: true })
    },
  }
}
