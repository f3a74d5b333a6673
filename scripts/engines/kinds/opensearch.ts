/**
 * OpenSearch 3 from its jars. It comes without the security plugin, so it knows neither TLS nor
 * logins: with certificates, stunnel stands in front of the port for clients.
 */
import { join } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type Cluster, type Engine, type EngineNode, partFolder, serverKeys } from '../engine.ts'
import { debianProgram } from './debian.ts'
import { javaProgram, shortLived } from './java.ts'
import { ask } from './probe.ts'

const httpPort = 9200
const transportPort = 9300

function nodeName(node: EngineNode): string {
  return `opensearch${String(node.index)}`
}

/** With stunnel in front the node itself listens elsewhere: at .101 instead of .1. */
function plainAddress(cluster: Cluster, node: EngineNode): string {
  return cluster.tls === undefined ? node.address : node.address.replace(/\.(\d+)$/, '.10$1')
}

function plainUrl(cluster: Cluster, node: EngineNode): string {
  return `http://${plainAddress(cluster, node)}:${String(httpPort)}`
}

/** Only who has a certificate of the authority gets through: there is no other login. */
export function stunnelConfiguration(cluster: Cluster, node: EngineNode): string {
  const server = serverKeys(cluster, node)
  if (cluster.tls === undefined || server === undefined) return ''
  return [
    'foreground = quiet',
    'debug = warning',
    'pid =',
    '[opensearch]',
    `accept = ${node.address}:${String(httpPort)}`,
    `connect = ${plainAddress(cluster, node)}:${String(httpPort)}`,
    `cert = ${server.certificate}`,
    `key = ${server.key}`,
    `CAfile = ${cluster.tls.authority}`,
    'verifyChain = yes',
    'requireCert = yes',
    'sslVersionMin = TLSv1.2',
    'TIMEOUTclose = 0',
    '',
  ].join('\n')
}

export function openSearchSettings(cluster: Cluster, node: EngineNode): Record<string, unknown> {
  return {
    'cluster.name': 'tricord',
    'node.name': nodeName(node),
    'node.roles': ['cluster_manager', 'data', 'ingest'],
    'network.host': plainAddress(cluster, node),
    'http.port': String(httpPort),
    'transport.port': String(transportPort),
    'path.data': join(node.directory, 'data'),
    'path.logs': join(node.directory, 'logs'),
    'discovery.seed_hosts': cluster.nodes.map(
      (one) => `${plainAddress(cluster, one)}:${String(transportPort)}`,
    ),
    // Read at the first formation only.
    'cluster.initial_cluster_manager_nodes': cluster.nodes.map(nodeName),
    'bootstrap.memory_lock': false,
    // A developer's disk may be fuller than 85 %.
    'cluster.routing.allocation.disk.threshold_enabled': false,
    'action.auto_create_index': false,
    'node.processors': 2,
  }
}

const log4j = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss,SSS} %-5p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.deprecation.name = org.opensearch.deprecation
logger.deprecation.level = warn
`

const Health = z.object({ status: z.string(), number_of_nodes: z.number() })

export const opensearch: Engine = {
  parts: ['java-25', 'opensearch', 'stunnel'],
  order: 'together',
  folders: ['config', 'data', 'logs', 'tmp'],
  // It refuses to run as root.
  isUnprivileged: true,
  files: (cluster, node) => [
    { path: 'config/opensearch.yml', content: stringify(openSearchSettings(cluster, node)) },
    { path: 'config/log4j2.properties', content: log4j },
    { path: 'config/stunnel.conf', content: stunnelConfiguration(cluster, node) },
  ],
  command: (cluster, node) => {
    const home = partFolder(cluster, 'opensearch')
    return {
      program: javaProgram(partFolder(cluster, 'java-25')),
      args: [
        '-Xms512m',
        '-Xmx512m',
        ...shortLived,
        '-XX:MaxDirectMemorySize=128m',
        '-XX:+ExitOnOutOfMemoryError',
        '-XX:+PerfDisableSharedMem',
        '-Xss512k',
        '-Djava.awt.headless=true',
        '-Dfile.encoding=UTF-8',
        // Words of Thai by ICU, see the pom; everything else as Java has it.
        '-Djava.locale.providers=CLDR,SPI',
        '-Djna.nosys=true',
        '-Dio.netty.noUnsafe=true',
        '-Dio.netty.noKeySetOptimization=true',
        '-Dio.netty.recycler.maxCapacityPerThread=0',
        '-Dlog4j.shutdownHookEnabled=false',
        '-Dlog4j2.disable.jmx=true',
        '--enable-native-access=ALL-UNNAMED',
        `-Djava.io.tmpdir=${join(node.directory, 'tmp')}`,
        `-Dopensearch.path.home=${home}`,
        `-Dopensearch.path.conf=${join(node.directory, 'config')}`,
        '-Dopensearch.distribution.type=tar',
        '-cp',
        `${join(home, 'lib')}/*`,
        'org.opensearch.bootstrap.OpenSearch',
      ],
    }
  },
  front: (cluster, node) =>
    cluster.tls === undefined
      ? undefined
      : debianProgram(partFolder(cluster, 'stunnel'), 'stunnel4', [
          join(node.directory, 'config/stunnel.conf'),
        ]),
  clientAddress: (_cluster, node) => `${node.address}:${String(httpPort)}`,
  isHealthy: async (cluster, node, signal) =>
    (await ask(`${plainUrl(cluster, node)}/`, signal)) !== undefined,
  async isWhole(cluster, signal) {
    const answers = await Promise.all(
      cluster.nodes.map((node) => ask(`${plainUrl(cluster, node)}/_cluster/health`, signal)),
    )
    return answers.every((answer) => {
      const health = Health.safeParse(answer)
      return (
        health.success &&
        health.data.number_of_nodes === cluster.nodes.length &&
        health.data.status !== 'red'
      )
    })
  },
  stopLimitMs: 30_000,
}
