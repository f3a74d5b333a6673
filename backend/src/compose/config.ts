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
    'Where clients come in: API and sockets in one process, the API alone otherwise',
  ),
  operatorListen: ListenAddress.prefault('127.0.0.1:8081').describe(
    'Where the operator looks: status, metrics, the dev mailbox. Keep it private',
  ),
  data: z.string().min(1).default('data').describe('The folder that holds everything'),
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
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('sqlite') })])
    .prefault({ kind: 'sqlite' }),
  objects: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('filesystem') })])
    .prefault({ kind: 'filesystem' })
    .describe('Assets, below the data folder'),
  presence: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('memory') })])
    .prefault({ kind: 'memory' }),
  registry: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('local') }),
      z.strictObject({ kind: z.literal('static'), instances: StaticInstances }),
    ])
    .prefault({ kind: 'local' })
    .describe('Who is where: in one process, or listed here'),
  push: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('none') })])
    .prefault({ kind: 'none' }),
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
