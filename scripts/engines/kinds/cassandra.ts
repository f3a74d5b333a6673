/** Cassandra 5.0 from its jars: one node, or three in three racks of one data centre. */
import { connect as connectPlain, type Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { stringify } from 'yaml'
import { type Cluster, type Engine, type EngineNode, partFolder, serverKeys } from '../engine.ts'
import { cqlPort, datacenter, prepareCassandra, seesAll } from './cassandra-accounts.ts'
import { javaProgram, shortLived } from './java.ts'

const storagePort = 7000
const jmxPort = 7199

/** Java 17 hides these from Cassandra unless told otherwise. */
const opened = [
  ...[
    'io',
    'lang',
    'lang.module',
    'lang.ref',
    'lang.reflect',
    'math',
    'net',
    'nio',
    'util',
    'util.concurrent',
    'util.concurrent.atomic',
  ].map((name) => `java.base/java.${name}`),
  ...['loader', 'math', 'misc', 'module', 'ref', 'reflect', 'util', 'util.jar'].map(
    (name) => `java.base/jdk.internal.${name}`,
  ),
  'java.base/sun.nio.ch',
  'java.base/sun.nio.fs',
  'java.logging/java.util.logging',
  'java.management/com.sun.jmx.mbeanserver',
  'java.rmi/sun.rmi.registry',
  'java.rmi/sun.rmi.server',
  'java.rmi/sun.rmi.transport',
  'java.rmi/sun.rmi.transport.tcp',
  'java.sql/java.sql',
  'jdk.attach/sun.tools.attach',
  'jdk.management/com.sun.management.internal',
]

export function cassandraSettings(cluster: Cluster, node: EngineNode): Record<string, unknown> {
  const seeds = cluster.nodes.slice(0, 2).map((one) => `${one.address}:${String(storagePort)}`)
  const hasAccounts = cluster.credentials['cassandra-password'] !== undefined
  return {
    cluster_name: 'tricord',
    num_tokens: 16,
    allocate_tokens_for_local_replication_factor: cluster.nodes.length,
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    endpoint_snitch: 'GossipingPropertyFileSnitch',
    seed_provider: [
      {
        class_name: 'org.apache.cassandra.locator.SimpleSeedProvider',
        parameters: [{ seeds: seeds.join(',') }],
      },
    ],
    listen_address: node.address,
    rpc_address: node.address,
    storage_port: storagePort,
    native_transport_port: cqlPort,
    data_file_directories: [join(node.directory, 'data')],
    commitlog_directory: join(node.directory, 'commitlog'),
    saved_caches_directory: join(node.directory, 'saved-caches'),
    hints_directory: join(node.directory, 'hints'),
    cdc_raw_directory: join(node.directory, 'cdc'),
    // An answer to a write means that it is on this node's disk; writers of one window share the sync.
    commitlog_sync: 'group',
    commitlog_sync_group_window: '5ms',
    commitlog_segment_size: '16MiB',
    commitlog_total_space: '256MiB',
    disk_failure_policy: 'die',
    commit_failure_policy: 'die',
    storage_compatibility_mode: 'NONE',
    memtable_heap_space: '96MiB',
    memtable_offheap_space: '64MiB',
    file_cache_size: '64MiB',
    networking_cache_size: '32MiB',
    key_cache_size: '16MiB',
    counter_cache_size: '0MiB',
    // A conditional write takes two rounds between coordinator and replicas, not four.
    paxos_variant: 'v2',
    // Those who write one row at once wait for one another so long, within the time of a request.
    cas_contention_timeout: '2000ms',
    concurrent_reads: 16,
    concurrent_writes: 32,
    concurrent_compactors: 1,
    hinted_handoff_enabled: true,
    auto_snapshot: false,
    authenticator: hasAccounts ? 'PasswordAuthenticator' : 'AllowAllAuthenticator',
    authorizer: hasAccounts ? 'CassandraAuthorizer' : 'AllowAllAuthorizer',
    role_manager: 'CassandraRoleManager',
    ...encryption(cluster, node),
  }
}

function encryption(cluster: Cluster, node: EngineNode): Record<string, unknown> {
  const server = serverKeys(cluster, node)
  if (cluster.tls === undefined || server === undefined) return {}
  const factory = {
    class_name: 'org.apache.cassandra.security.PEMBasedSslContextFactory',
  }
  const stores = {
    keystore: server.both,
    truststore: cluster.tls.authority,
  }
  return {
    server_encryption_options: {
      internode_encryption: 'all',
      require_client_auth: true,
      optional: false,
      ssl_context_factory: factory,
      ...stores,
    },
    client_encryption_options: {
      enabled: true,
      optional: false,
      require_client_auth: false,
      ssl_context_factory: factory,
      ...stores,
    },
  }
}

const logback = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601,UTC} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
  <logger name="org.apache.cassandra.config" level="WARN"/>
  <logger name="org.apache.cassandra.db.ColumnFamilyStore" level="WARN"/>
</configuration>
`

function openings(): string[] {
  return opened.flatMap((name) => [
    '--add-exports',
    `${name}=ALL-UNNAMED`,
    '--add-opens',
    `${name}=ALL-UNNAMED`,
  ])
}

function classPath(cluster: Cluster, node: EngineNode): string {
  return `${join(node.directory, 'conf')}:${join(partFolder(cluster, 'cassandra'), 'lib')}/*`
}

const replyOpcodes = { supported: 0x06 } as const
/** A frame of the native protocol, version 4, that asks which options there are. */
const optionsFrame = Buffer.from([0x04, 0, 0, 0, 0x05, 0, 0, 0, 0])

/** Whether the CQL port answers: a node opens it only when it has joined. */
async function answersCql(
  cluster: Cluster,
  node: EngineNode,
  signal: AbortSignal,
): Promise<boolean> {
  const ca = cluster.tls === undefined ? undefined : await readFile(cluster.tls.authority)
  return new Promise((resolve) => {
    const where = { host: node.address, port: cqlPort }
    const socket: Socket =
      ca === undefined ? connectPlain(where) : connectTls({ ...where, ca, servername: '' })
    const finish = (answer: boolean): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(answer)
    }
    const onAbort = (): void => finish(false)
    signal.addEventListener('abort', onAbort)
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
    socket.on('data', (chunk: Buffer) => finish(chunk[4] === replyOpcodes.supported))
    socket.write(optionsFrame)
  })
}

export const cassandra: Engine = {
  parts: ['java-17', 'cassandra'],
  order: 'in turn',
  folders: ['conf', 'data', 'commitlog', 'saved-caches', 'hints', 'cdc', 'tmp'],
  files: (cluster, node) => [
    { path: 'conf/cassandra.yaml', content: stringify(cassandraSettings(cluster, node)) },
    {
      path: 'conf/cassandra-rackdc.properties',
      content: `dc=${datacenter}\nrack=rack${String(node.index)}\n`,
    },
    { path: 'conf/logback.xml', content: logback },
  ],
  command: (cluster, node) => ({
    program: javaProgram(partFolder(cluster, 'java-17')),
    // Its workers look for work every 10 µs before they rest: on two cores that costs more than it gains.
    timerSlackNs: 1_000_000,
    args: [
      '-Xms512m',
      '-Xmx512m',
      '-Xmn160m',
      ...shortLived,
      '-Xss256k',
      // Otherwise it closes its output, which is the log, when it has started.
      '-Dcassandra-foreground=yes',
      '-XX:MaxDirectMemorySize=256m',
      '-XX:+ExitOnOutOfMemoryError',
      '-XX:+PerfDisableSharedMem',
      ...openings(),
      '-Djdk.attach.allowAttachSelf=true',
      '-Dio.netty.tryReflectionSetAccessible=true',
      `-javaagent:${join(partFolder(cluster, 'cassandra'), 'lib/jamm-0.4.0.jar')}`,
      `-Djava.io.tmpdir=${join(node.directory, 'tmp')}`,
      `-Dcassandra.config=file://${join(node.directory, 'conf/cassandra.yaml')}`,
      `-Dcassandra.storagedir=${node.directory}`,
      `-Dcassandra.logdir=${node.directory}`,
      `-Dlogback.configurationFile=${join(node.directory, 'conf/logback.xml')}`,
      // Formation on one machine: nothing is gained by waiting for gossip to travel.
      '-Dcassandra.ring_delay_ms=2000',
      '-Dcassandra.skip_wait_for_gossip_to_settle=0',
      '-Dcassandra.superuser_setup_delay_ms=0',
      // Every wake costs more than what it is for: the coarse clock, and a name for each task's thread.
      '-Dcassandra.approximate_time_precision_ms=10',
      '-Dcassandra.set_sep_thread_name=false',
      `-Dcom.sun.management.jmxremote.host=${node.address}`,
      `-Dcom.sun.management.jmxremote.port=${String(jmxPort)}`,
      `-Dcom.sun.management.jmxremote.rmi.port=${String(jmxPort)}`,
      '-Dcom.sun.management.jmxremote.authenticate=false',
      '-Dcom.sun.management.jmxremote.ssl=false',
      `-Djava.rmi.server.hostname=${node.address}`,
      '-cp',
      classPath(cluster, node),
      'org.apache.cassandra.service.CassandraDaemon',
    ],
  }),
  clientAddress: (_cluster, node) => `${node.address}:${String(cqlPort)}`,
  isHealthy: answersCql,
  async isWhole(cluster, signal) {
    const healthy = await Promise.all(
      cluster.nodes.map((node) => answersCql(cluster, node, signal)),
    )
    if (!healthy.every(Boolean)) return false
    if (cluster.nodes.length === 1) return true
    const seeing = await Promise.all(cluster.nodes.map((node) => seesAll(cluster, node)))
    return seeing.every(Boolean)
  },
  prepare: prepareCassandra,
  stopLimitMs: 60_000,
}
