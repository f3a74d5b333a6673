/** etcd 3.6, of one or three members. */
import { join } from 'node:path'
import { type Cluster, type Engine, type EngineNode, partFolder, serverKeys } from '../engine.ts'
import { isOk } from './probe.ts'

const clientPort = 2379
const peerPort = 2380
/** Plain HTTP even when the client port is not: health and metrics only. */
const metricsPort = 2381

function memberName(node: EngineNode): string {
  return `etcd${String(node.index)}`
}

export function etcdFlags(cluster: Cluster, node: EngineNode): Record<string, string> {
  const scheme = cluster.tls === undefined ? 'http' : 'https'
  const peer = (one: EngineNode): string => `${scheme}://${one.address}:${String(peerPort)}`
  const client = `${scheme}://${node.address}:${String(clientPort)}`
  return {
    name: memberName(node),
    'data-dir': join(node.directory, 'data'),
    'listen-peer-urls': peer(node),
    'initial-advertise-peer-urls': peer(node),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-metrics-urls': `http://${node.address}:${String(metricsPort)}`,
    'initial-cluster': cluster.nodes.map((one) => `${memberName(one)}=${peer(one)}`).join(','),
    'initial-cluster-token': cluster.nodes.map((one) => one.address).join('-'),
    'initial-cluster-state': 'new',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1h',
    'heartbeat-interval': '100',
    'election-timeout': '1000',
    'log-level': 'warn',
    ...tlsFlags(cluster, node),
  }
}

function tlsFlags(cluster: Cluster, node: EngineNode): Record<string, string> {
  const server = serverKeys(cluster, node)
  if (cluster.tls === undefined || server === undefined) return {}
  return {
    'cert-file': server.certificate,
    'key-file': server.key,
    'trusted-ca-file': cluster.tls.authority,
    'client-cert-auth': 'true',
    'peer-cert-file': server.certificate,
    'peer-key-file': server.key,
    'peer-trusted-ca-file': cluster.tls.authority,
    'peer-client-cert-auth': 'true',
  }
}

function metrics(node: EngineNode, path: string): string {
  return `http://${node.address}:${String(metricsPort)}${path}`
}

export const etcd: Engine = {
  parts: ['etcd'],
  order: 'together',
  folders: ['data'],
  files: () => [],
  command: (cluster, node) => ({
    program: join(partFolder(cluster, 'etcd'), 'etcd'),
    args: Object.entries(etcdFlags(cluster, node)).map(([flag, value]) => `--${flag}=${value}`),
    env: { GOMEMLIMIT: '192MiB' },
  }),
  clientAddress: (_cluster, node) => `${node.address}:${String(clientPort)}`,
  isHealthy: (_cluster, node, signal) => isOk(metrics(node, '/readyz'), signal),
  async isWhole(cluster, signal) {
    const healthy = await Promise.all(
      cluster.nodes.map((node) => isOk(metrics(node, '/health'), signal)),
    )
    return healthy.every(Boolean)
  },
  stopLimitMs: 15_000,
}
