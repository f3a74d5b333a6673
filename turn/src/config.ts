import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { z } from 'zod'
import { formatIp, parseIp } from './wire/ip.ts'

/** An address as it is always written, so that two texts of one address are equal. */
const Address = z.string().transform((text, context) => {
  const ip = parseIp(text)
  if (ip !== undefined) return formatIp(ip)
  context.addIssue({ code: 'custom', message: 'is not an address' })
  return z.NEVER
})

const ownAddress = Address.refine((text) => text !== '0.0.0.0' && text !== '::', {
  message: 'must be one address of this host; "auto" takes all of them',
})

const Network = z.string().refine(
  (text) => {
    const [address = '', bits, rest] = text.split('/')
    const ip = parseIp(address)
    if (ip === undefined || rest !== undefined) return false
    if (bits === undefined) return true
    return /^\d{1,3}$/.test(bits) && Number(bits) <= (ip.family === 4 ? 32 : 128)
  },
  { message: 'is not an address or a network such as 10.0.0.0/8' },
)

const Port = z.int().min(0).max(65_535)
const Path = z.string().min(1)
const Count = z.int().min(0)

const Peers = z.strictObject({
  private: z
    .enum(['allow', 'deny'])
    .default('deny')
    .describe('Peers in private space (10/8, 172.16/12, 192.168/16, fd00::/8).'),
  allow: z
    .array(Network)
    .default([])
    .describe(
      'Peers that are allowed although a rule below would refuse them: call servers, other relays, client networks.',
    ),
  deny: z.array(Network).default([]).describe('Peers that are refused; "allow" is asked first.'),
  never: z
    .array(Network)
    .default([])
    .describe(
      'Peers that nothing can allow: the databases, stores and management networks of the site.',
    ),
  loopbackForTests: z
    .boolean()
    .default(false)
    .describe(
      'Allows 127.0.0.0/8 and ::1 as peers. For tests alone: it opens every local service.',
    ),
})

const Limits = z.strictObject({
  allocationsPerUser: Count.default(32).describe('Allocations of one user at the same time.'),
  allocationsPerSource: Count.default(64).describe(
    'Allocations from one address (IPv6: one /64) at the same time.',
  ),
  allocationsPerFamily: Count.default(16_000).describe(
    'Allocations in all, per family of relay addresses.',
  ),
  permissions: z.int().min(1).max(1024).default(64).describe('Permissions of one allocation.'),
  channels: z.int().min(1).max(1024).default(64).describe('Channels of one allocation.'),
  bitsPerSecond: Count.default(10_000_000).describe(
    'What one allocation may carry in each direction; the rest is dropped. 0: no limit.',
  ),
  refusalsPerSecond: Count.default(10).describe(
    'Answers 400, 401 and 438 by UDP to one address (IPv6: one /64); then silence.',
  ),
  refusalsPerSecondInAll: Count.default(5_000).describe(
    'Answers of that kind by one process to all together; a flood must not keep it from relaying.',
  ),
  refusalsUnlimited: z
    .array(Network)
    .default([])
    .describe('Networks that no limit of refusals applies to: call servers, partner relays.'),
  streamsPerSource: Count.default(256).describe('TCP and TLS connections from one address.'),
})

export const Config = z
  .strictObject({
    listen: z
      .strictObject({
        addresses: z
          .union([z.literal('auto'), z.array(ownAddress).min(1)])
          .default('auto')
          .describe(
            'Addresses of this host; "auto" takes all that are neither loopback nor link-local.',
          ),
        udpPort: z
          .union([z.literal('off'), Port])
          .default(3478)
          .describe('UDP; 0 takes a free one and logs it.'),
        tcpPort: z
          .union([z.literal('off'), Port])
          .default(3478)
          .describe('TCP.'),
        tls: z
          .strictObject({
            ports: z.array(Port).min(1).default([5349]).describe('TLS; often 443 too.'),
            certificateFile: Path.describe('PEM, the whole chain; read again on reload.'),
            keyFile: Path.describe('PEM; read again on reload.'),
          })
          .optional()
          .describe('Without it nothing listens for TLS.'),
      })
      .prefault({})
      .describe('Where clients come in.'),
    relay: z
      .strictObject({
        addresses: z
          .union([z.literal('listen'), z.array(ownAddress).min(1)])
          .default('listen')
          .describe(
            'Addresses that relayed packets leave from; "listen" takes those of the listeners.',
          ),
        ports: z
          .strictObject({
            from: z.int().min(1024).max(65_535).default(32_768).describe('The first port.'),
            to: z.int().min(1024).max(65_535).default(60_999).describe('The last port.'),
            restSeconds: z
              .int()
              .min(0)
              .max(3600)
              .default(120)
              .describe('How long a port that was freed is not used again.'),
          })
          .refine(({ from, to }) => from < to, { message: '"from" must be below "to"' })
          .prefault({})
          .describe('UDP ports of the relay addresses; the firewall must let them in.'),
        external: z
          .record(ownAddress, ownAddress)
          .default({})
          .describe('Relay address to the address clients are told, where NAT lies in between.'),
      })
      .prefault({})
      .describe('Where relayed packets leave.'),
    realm: z
      .string()
      .min(1)
      .max(127)
      .default('dummy.io')
      .describe('Realm of the credentials; the apps take what they are told.'),
    secureStun: z
      .boolean()
      .default(false)
      .describe('Answers a Binding with valid credentials only.'),
    sha256: z
      .boolean()
      .default(false)
      .describe('Offers SHA-256 beside SHA-1 and MD5. Off until the apps in use are checked.'),
    credentials: z
      .strictObject({
        wire: z
          .strictObject({
            secretFiles: z
              .array(Path)
              .min(1)
              .describe('Files with the secrets shared with brig; each is tried.'),
          })
          .optional()
          .describe("The names that brig hands out to Wire's apps."),
        rest: z
          .strictObject({ secretFiles: z.array(Path).min(1).describe('Files with the secrets.') })
          .optional()
          .describe('Names of the form expiry:name, as most other software issues them.'),
        static: z
          .array(
            z.strictObject({
              username: z.string().min(1).max(508).describe('Any name.'),
              passwordFile: Path.describe('File with the password.'),
            }),
          )
          .default([])
          .describe('Names that never expire. For tests.'),
        strictExpiry: z
          .boolean()
          .default(false)
          .describe('Refuses to refresh a running allocation when its credential has expired.'),
      })
      .prefault({})
      .describe('Who may use the relay. Files are trimmed, and read again on reload.'),
    nonceKeyFile: Path.optional().describe(
      'File with a key that all relays of a site share; without it each start makes one.',
    ),
    peers: Peers.prefault({}).describe('Whom clients may reach through the relay.'),
    limits: Limits.prefault({}).describe('How much one user, one address and all may have.'),
    drain: z
      .strictObject({
        minAllocations: Count.default(0).describe('Ends when no more than so many are left.'),
        graceSeconds: z
          .int()
          .min(1)
          .default(43_200)
          .describe('Ends after this time whatever is left.'),
        alternates: z
          .array(
            z.strictObject({
              address: Address.describe('Of another relay.'),
              port: z.int().min(1).max(65_535).default(3478).describe('Of that relay.'),
              transport: z
                .enum(['UDP', 'TCP', 'TLS'])
                .default('UDP')
                .describe('For clients of it.'),
            }),
          )
          .default([])
          .describe('Where clients are sent while this relay drains, by family and transport.'),
      })
      .prefault({})
      .describe('How the relay empties itself on SIGUSR1.'),
    workers: z
      .union([z.literal('auto'), z.int().min(1).max(64)])
      .default('auto')
      .describe('Processes for UDP; "auto" is one per core.'),
    io: z
      .enum(['auto', 'mmsg', 'dgram'])
      .default('auto')
      .describe('"mmsg" batches system calls (Linux); "dgram" is portable and has one worker.'),
    metrics: z
      .union([
        z.literal('off'),
        z.strictObject({
          address: Address.default('127.0.0.1').describe('Where /metrics and /status are served.'),
          port: Port.default(9641).describe('0 takes a free one and logs it.'),
        }),
      ])
      .prefault({})
      .describe('Figures for Prometheus.'),
    controlSocket: Path.optional().describe(
      'A Unix socket for the commands drain, reload and status of this program.',
    ),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error', 'silent'])
          .default('info')
          .describe('One JSON object a line on standard error.'),
      })
      .prefault({})
      .describe('What is logged.'),
  })
  .superRefine((config, context) => {
    const { wire, rest, static: users } = config.credentials
    if (wire === undefined && rest === undefined && users.length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['credentials'],
        message: 'needs "wire", "rest" or "static": nobody could use the relay',
      })
    }
    if (config.listen.udpPort === 'off' && config.listen.tcpPort === 'off' && !config.listen.tls) {
      context.addIssue({ code: 'custom', path: ['listen'], message: 'nothing listens' })
    }
  })

export type Config = z.infer<typeof Config>
export type PeersConfig = Config['peers']
export type LimitsConfig = Config['limits']

/** The configuration is wrong; the message lists every problem with its path. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor(source: string, problems: readonly string[]) {
    super(`${source} is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  }
}

/** Reads a YAML file. Rejects with ConfigError. */
export async function readConfig(path: string): Promise<Config> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(path, [
      `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    ])
  }
  return parseConfig(await parseYaml(text, path), path)
}

async function parseYaml(text: string, source: string): Promise<unknown> {
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { uniqueKeys: true })
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => error.message.split('\n')[0] ?? 'not YAML')
    throw new ConfigError(source, problems)
  }
  try {
    return document.toJS() ?? {}
  } catch (error) {
    // Aliases of nothing, or too many of them.
    throw new ConfigError(source, [error instanceof Error ? error.message : String(error)])
  }
}

/** Throws ConfigError. */
export function parseConfig(value: unknown, source: string): Config {
  const parsed = Config.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ConfigError(source, parsed.error.issues.flatMap(problemsOf))
}

function problemsOf(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${path === '' ? key : `${path}.${key}`}: there is no such setting`,
    )
  }
  if (issue.code === 'invalid_union') {
    // Where one of the choices fits the kind of the value, its problems say more than "no match".
    const inner = issue.errors.find((issues) =>
      issues.some(({ path, code }) => path.length > 0 || code === 'custom'),
    )
    if (inner !== undefined) {
      return inner.flatMap((problem) =>
        problemsOf({ ...problem, path: [...issue.path, ...problem.path] }),
      )
    }
  }
  return [`${path === '' ? 'the file' : path}: ${issue.message}`]
}

export interface Addresses {
  readonly listen: readonly string[]
  readonly relay: readonly string[]
}

/** The addresses that "auto" and "listen" stand for. Throws ConfigError when there are none. */
export function resolveAddresses(config: Config, source: string): Addresses {
  const listen =
    config.listen.addresses === 'auto' ? ownAddresses() : [...new Set(config.listen.addresses)]
  if (listen.length === 0) {
    throw new ConfigError(source, [
      'listen.addresses: this host has no address but loopback and link-local ones; name one',
    ])
  }
  const relay = config.relay.addresses === 'listen' ? listen : [...new Set(config.relay.addresses)]
  const unknown = Object.keys(config.relay.external).filter((address) => !relay.includes(address))
  if (unknown.length > 0) {
    throw new ConfigError(
      source,
      unknown.map((address) => `relay.external.${address}: is no relay address`),
    )
  }
  return { listen, relay }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(
      ({ internal, address, scopeid }) => !internal && !scopeid && !address.startsWith('169.254.'),
    )
    .map(({ address }) => address)
}
