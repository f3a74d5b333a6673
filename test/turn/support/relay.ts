import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeCertificate } from './certificate.ts'
import { claimPort } from '../../support/ports.ts'
import { startChild, waitUntil, type ChildSettings } from './server-child.ts'
import { restCredentials } from './stun.ts'
import { answersBinding, type TurnServer } from './turn-server.ts'

export interface RelaySettings extends ChildSettings {
  readonly host?: string
  /** Further addresses to listen and relay on, such as `::1`. */
  readonly moreHosts?: readonly string[]
  readonly relayPorts?: {
    readonly from: number
    readonly to: number
    readonly restSeconds?: number
  }
  /** With a certificate that openssl makes; without one there is no TLS. */
  readonly hasTls?: boolean
  readonly workers?: number
  /** A limit of open files, as of `ulimit -n`. */
  readonly maxOpenFiles?: number
  readonly io?: 'mmsg' | 'dgram'
  /** Over the relay's defaults, which the tests keep unless they say otherwise. */
  readonly limits?: Readonly<Record<string, number | readonly string[]>>
  readonly peers?: Readonly<Record<string, unknown>>
  /** Further sections of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly logLevel?: string
  readonly nodeOptions?: readonly string[]
}

export interface Relay extends TurnServer {
  readonly metricsPort: number
  /** The folder that holds its configuration and secrets. */
  readonly folder: string
  readonly configFile: string
  /** Values of /metrics by name with labels, as `turn_drops{reason="..."}`. */
  metrics(): Promise<Map<string, number>>
}

const root = join(import.meta.dirname, '../../..')
const secret = 'test-secret-do-not-use'

/** What the limits are raised to where a test plays many clients from one address. */
export const raisedLimits = {
  allocationsPerUser: 20_000,
  allocationsPerSource: 20_000,
  refusalsPerSecond: 1_000_000,
  refusalsPerSecondInAll: 1_000_000,
  bitsPerSecond: 0,
} as const

/** The relay as an operator starts it, with loopback opened to peers. */
export async function startRelay(settings: RelaySettings = {}): Promise<Relay> {
  const host = settings.host ?? '127.0.0.1'
  const folder = await mkdtemp(join(tmpdir(), 'turn-'))
  const certificate = settings.hasTls === true ? await makeCertificate(folder, host) : undefined
  const [port, tlsPort, metricsPort] = [
    await claimPort(host),
    await claimPort(host),
    await claimPort('127.0.0.1'),
  ]
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, `${secret}\n`)
  const configFile = join(folder, 'turn.yaml')
  const config = {
    listen: {
      addresses: [host, ...(settings.moreHosts ?? [])],
      udpPort: port,
      tcpPort: port,
      ...(certificate === undefined ? {} : { tls: { ports: [tlsPort], ...certificate } }),
    },
    relay: { ports: settings.relayPorts ?? { from: 20_000, to: 31_999, restSeconds: 0 } },
    credentials: { wire: { secretFiles: [secretFile] }, rest: { secretFiles: [secretFile] } },
    peers: { loopbackForTests: true, ...settings.peers },
    limits: settings.limits ?? {},
    workers: settings.workers ?? 1,
    io: settings.io ?? 'auto',
    metrics: { address: '127.0.0.1', port: metricsPort },
    log: { level: settings.logLevel ?? 'warn' },
    ...settings.config,
  }
  await writeFile(configFile, stringify(config))
  const entry = join(root, 'turn/src/main.mjs')
  const child = startChild(
    [
      ...(settings.maxOpenFiles === undefined
        ? []
        : ['sh', '-c', 'ulimit -n "$0" && exec "$@"', String(settings.maxOpenFiles)]),
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      ...(settings.nodeOptions ?? []),
      entry,
      '--config',
      configFile,
    ],
    { cwd: root, ...settings },
  )
  // Its operator's listener comes last.
  const status = `http://127.0.0.1:${String(metricsPort)}/status`
  await waitUntil(child, () =>
    fetch(status).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  await waitUntil(child, () => answersBinding(host, port))
  return {
    name: settings.io === 'dgram' ? 'relay-dgram' : 'relay',
    version: '0.1.0',
    host,
    port,
    tlsPort,
    metricsPort,
    certificateFile: certificate?.certificateFile ?? '',
    folder,
    configFile,
    child,
    realm: 'dummy.io',
    secret,
    credentialsFor: (index) => restCredentials(secret, `client-${String(index)}`),
    async metrics() {
      const reply = await fetch(`http://127.0.0.1:${String(metricsPort)}/metrics`)
      const lines = (await reply.text()).split('\n').filter((line) => /^[a-z]/.test(line))
      return new Map(
        lines.map((line) => {
          const at = line.lastIndexOf(' ')
          return [line.slice(0, at), Number(line.slice(at + 1))]
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
