import { z } from 'zod'
import { Domain } from '../contract/ids.ts'
import { BrigConfig } from '../services/brig/config.ts'
import { CannonConfig } from '../services/cannon/config.ts'
import { CargoholdConfig } from '../services/cargohold/config.ts'
import { GalleyConfig } from '../services/galley/config.ts'
import { GundeckConfig } from '../services/gundeck/config.ts'
import { NginzConfig } from '../services/nginz/config.ts'

/** `host:port`; port 0 takes a free one. */
const ListenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}$/, 'expected host:port')
  .transform((text) => {
    const end = text.lastIndexOf(':')
    return { host: text.slice(0, end).replace(/^\[|\]$/g, ''), port: Number(text.slice(end + 1)) }
  })
export type ListenAddress = z.output<typeof ListenAddress>

export const serviceNames = ['brig', 'galley', 'gundeck', 'cannon', 'cargohold', 'nginz'] as const
export const ServiceName = z.enum(serviceNames)
export type ServiceName = z.infer<typeof ServiceName>

const StaticInstances = z.partialRecord(
  ServiceName,
  z.array(z.strictObject({ id: z.string(), address: z.url() })).min(1),
)

const Tls = z
  .strictObject({
    ca: z
      .string()
      .optional()
      .describe(
        'File (PEM) with the authorities that vouch for the servers; those of the system unless given',
      ),
    cert: z.string().optional().describe('File (PEM) with our own certificate'),
    key: z.string().optional().describe('File (PEM) with its key'),
  })
  .optional()
  .describe('Without, connections are not encrypted')
const User = z.string().min(1).optional().describe('Who logs in; without, nobody does')
const PasswordFile = z.string().optional().describe('File with the password of that user')

const OpenSearchConfig = z.strictObject({
  kind: z.literal('opensearch'),
  nodes: z.array(z.url()).min(1).describe('http:// or https:// addresses of the nodes'),
  index: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,60}$/, 'expected a small letter, then letters, digits, - and _')
    .default('tricord-users')
    .describe('Alias of the index of users; the job elasticsearch-index-create makes the index'),
  user: User,
  passwordFile: PasswordFile,
  tls: Tls,
})
export type OpenSearchConfig = z.output<typeof OpenSearchConfig>

const S3Config = z.strictObject({
  kind: z.literal('s3'),
  endpoint: z.url().describe('http:// or https:// address of the object store'),
  region: z.string().min(1).default('us-east-1'),
  bucket: z.string().min(3).max(63).default('assets').describe('The job create-buckets makes it'),
  isPathStyle: z
    .boolean()
    .default(true)
    .describe("Name the bucket in the path, not in the host; false for Amazon's"),
  accessKeyFile: z.string().describe('File with the access key'),
  secretKeyFile: z.string().describe('File with the secret key'),
  tls: Tls,
})
export type S3Config = z.output<typeof S3Config>

const RedisConfig = z
  .strictObject({
    kind: z.literal('redis'),
    address: ListenAddress.optional().describe(
      'host:port of the one server; or name the Sentinels',
    ),
    sentinels: z
      .array(ListenAddress)
      .min(1)
      .optional()
      .describe('host:port of all Sentinels, who know the primary'),
    primaryName: z.string().min(1).default('tricord').describe('What Sentinel calls the primary'),
    prefix: z.string().default('tricord:').describe('Beginning of all keys'),
    user: User,
    passwordFile: PasswordFile,
    sentinelUser: User,
    sentinelPasswordFile: PasswordFile,
    tls: Tls,
  })
  .refine(({ address, sentinels }) => (address === undefined) !== (sentinels === undefined), {
    error: 'expected either address or sentinels',
  })
export type RedisConfig = z.output<typeof RedisConfig>

const EtcdConfig = z.strictObject({
  kind: z.literal('etcd'),
  hosts: z.array(z.url()).min(1).describe('http:// or https:// client addresses of the members'),
  prefix: z
    .string()
    .regex(/^\/.*\/$/, 'expected a path that begins and ends with a slash')
    .default('/tricord/')
    .describe('Beginning of all keys'),
  leaseSeconds: z
    .int()
    .min(3)
    .max(300)
    .default(10)
    .describe('A process that died without a word is known by all after so long'),
  user: User,
  passwordFile: PasswordFile,
  tls: Tls,
})
export type EtcdConfig = z.output<typeof EtcdConfig>

const CassandraConfig = z.strictObject({
  kind: z.literal('cassandra'),
  contactPoints: z
    .array(z.string().min(1))
    .min(1)
    .describe('host or host:port of some nodes, the seeds for example; they name the others'),
  localDatacenter: z.string().min(1).describe('Requests go to the nodes of this datacenter'),
  keyspace: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,30}$/, 'expected a small letter, then letters, digits and _')
    .default('tricord')
    .describe('Beginning of the keyspaces: <keyspace>_brig, <keyspace>_galley, ...'),
  user: z.string().min(1).optional().describe('Role that logs in; without, nobody does'),
  passwordFile: z.string().optional().describe('File with the password of that role'),
  tls: z
    .strictObject({
      ca: z.string().describe('File (PEM) with the authorities that vouch for the nodes'),
      cert: z.string().optional().describe('File (PEM) with our own certificate'),
      key: z.string().optional().describe('File (PEM) with its key'),
    })
    .optional()
    .describe('Without, connections are not encrypted'),
  requestTimeoutMs: z
    .int()
    .min(100)
    .max(30_000)
    .default(2500)
    .describe('How long a request may take, with its repetition, before it counts as failed'),
  replication: z
    .record(z.string(), z.int().min(1).max(7))
    .optional()
    .describe(
      'Copies of each row, by datacenter; the job cassandra-migrations sees to it. Without, as many as there are nodes, at most 3',
    ),
})
export type CassandraConfig = z.output<typeof CassandraConfig>

export const Config = z.strictObject({
  domain: Domain.default('tricord.internal' as Domain).describe(
    'The backend domain: part of every id, fixed once the first user exists',
  ),
  listen: ListenAddress.prefault('127.0.0.1:8080').describe(
    'Where clients come in: API and sockets in one process, else the API at nginz and sockets at cannon',
  ),
  internalListen: ListenAddress.prefault('127.0.0.1:8082').describe(
    'One service per process: where the other services come in. No client may reach it',
  ),
  advertise: z
    .url()
    .optional()
    .describe(
      'One service per process, registry etcd: where the other services reach internalListen; http:// and its address unless given',
    ),
  operatorListen: ListenAddress.prefault('127.0.0.1:8081').describe(
    'Where the operator looks: status, metrics, the dev mailbox. Keep it private',
  ),
  data: z.string().min(1).default('data').describe('The folder that holds everything'),
  instance: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe(
      'One service per process: which of its instances in the registry this process is; the first unless given',
    ),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    })
    .prefault({}),
  isStrict: z
    .boolean()
    .default(false)
    .describe('Tests and development: contracts are checked within the process too'),
  wideColumn: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('sqlite'),
        synchronous: z
          .enum(['full', 'off'])
          .default('full')
          .describe('off loses messages when power fails: for tests only'),
      }),
      CassandraConfig,
    ])
    .prefault({ kind: 'sqlite' })
    .describe('The truth: users, devices, conversations, inboxes'),
  search: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('sqlite') }), OpenSearchConfig])
    .prefault({ kind: 'sqlite' })
    .describe('People to be found; made from the truth, and can be made again'),
  objects: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('filesystem') }), S3Config])
    .prefault({ kind: 'filesystem' })
    .describe('Assets: below the data folder, or in any S3'),
  presence: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('memory') }), RedisConfig])
    .prefault({ kind: 'memory' })
    .describe('Who is connected, as a hint'),
  registry: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('local') }),
      z.strictObject({ kind: z.literal('static'), instances: StaticInstances }),
      EtcdConfig,
    ])
    .prefault({ kind: 'local' })
    .describe('Who is where, and locks: in one process, listed here, or in etcd'),
  push: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('none') }),
      z.strictObject({ kind: z.literal('noticeboard') }),
    ])
    .prefault({ kind: 'none' })
    .describe(
      'Waking apps that sleep: none refuses their tokens; noticeboard, for tests, takes them and shows on the operator page whom it would wake',
    ),
  mail: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('mailbox') }),
      z.strictObject({
        kind: z.literal('smtp'),
        host: z.string(),
        port: z.int().min(1).max(65_535).default(587),
        security: z.enum(['starttls', 'tls', 'none']).default('starttls'),
        user: z.string().optional(),
        passwordFile: z.string().optional(),
        from: z.string(),
      }),
    ])
    .prefault({ kind: 'mailbox' })
    .describe('mailbox keeps mails and shows them on the operator page; smtp sends them'),
  nginz: NginzConfig.prefault({}),
  brig: BrigConfig.prefault({}),
  galley: GalleyConfig.prefault({}),
  gundeck: GundeckConfig.prefault({}),
  cannon: CannonConfig.prefault({}),
  cargohold: CargoholdConfig.prefault({}),
})
export type Config = z.output<typeof Config>
