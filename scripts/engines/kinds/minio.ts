/** MinIO: one node with one drive, or three nodes with two drives each in one erasure set. */
import { request } from 'node:https'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Cluster,
  type Engine,
  type EngineNode,
  type NodeFile,
  partFolder,
  serverKeys,
} from '../engine.ts'
import { isOk } from './probe.ts'

/**
 * All of 127/8 is one host to MinIO, which tells the nodes of one host apart by their ports: so each
 * has its own.
 */
function port(node: EngineNode): number {
  return 9000 + node.index - 1
}

/** One for all nodes: their environments must be the same, this path too. */
const environmentFile = '../minio.environment'

function drivesOf(cluster: Cluster, node: EngineNode): string[] {
  const names = cluster.nodes.length === 1 ? ['drive1'] : ['drive1', 'drive2']
  return names.map((name) => join(node.directory, name))
}

function certificates(cluster: Cluster, node: EngineNode): NodeFile[] {
  const server = serverKeys(cluster, node)
  if (cluster.tls === undefined || server === undefined) return []
  return [
    { path: 'certificates/public.crt', content: { copyOf: server.certificate } },
    { path: 'certificates/private.key', mode: 0o600, content: { copyOf: server.key } },
    { path: 'certificates/CAs/authority.crt', content: { copyOf: cluster.tls.authority } },
  ]
}

function scheme(cluster: Cluster): string {
  return cluster.tls === undefined ? 'http' : 'https'
}

/** One path for one node; URLs of all drives of all nodes for three. */
export function minioDrives(cluster: Cluster): string[] {
  const [only] = cluster.nodes
  if (cluster.nodes.length === 1 && only !== undefined) return drivesOf(cluster, only)
  return cluster.nodes.flatMap((node) =>
    drivesOf(cluster, node).map(
      (drive) => `${scheme(cluster)}://${node.address}:${String(port(node))}${drive}`,
    ),
  )
}

async function answers(
  cluster: Cluster,
  node: EngineNode,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const url = `${scheme(cluster)}://${node.address}:${String(port(node))}${path}`
  if (cluster.tls === undefined) return isOk(url, signal)
  const ca = await readFile(cluster.tls.authority)
  return new Promise((resolve) => {
    request(url, { ca, signal, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
      .on('error', () => resolve(false))
      .end()
  })
}

export const minio: Engine = {
  parts: ['minio'],
  order: 'together',
  folders: ['drive1', 'drive2', 'certificates/CAs'],
  files: (cluster, node) => [
    {
      path: environmentFile,
      mode: 0o600,
      content: [
        `MINIO_ROOT_USER=${cluster.credentials['minio-access-key'] ?? ''}`,
        `MINIO_ROOT_PASSWORD=${cluster.credentials['minio-secret-key'] ?? ''}`,
        '',
      ].join('\n'),
    },
    ...certificates(cluster, node),
  ],
  command: (cluster, node) => ({
    program: join(partFolder(cluster, 'minio'), 'minio'),
    args: [
      'server',
      '--quiet',
      '--address',
      `${node.address}:${String(port(node))}`,
      '--certs-dir',
      join(node.directory, 'certificates'),
      ...minioDrives(cluster),
    ],
    env: {
      MINIO_CONFIG_ENV_FILE: join(node.directory, environmentFile),
      // The drives of these nodes lie on one disk, which MinIO refuses otherwise.
      MINIO_CI_CD: '1',
      // In a container it would wait for loopback addresses to become others, unless told who it is.
      _MINIO_SERVER_LOCAL: `${node.address}:${String(port(node))}`,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      // How long a call waits for the drive of a node that stands still: half a minute unless told.
      MINIO_DRIVE_MAX_TIMEOUT: '3s',
      GOMEMLIMIT: '384MiB',
    },
  }),
  clientAddress: (_cluster, node) => `${node.address}:${String(port(node))}`,
  isHealthy: (cluster, node, signal) => answers(cluster, node, '/minio/health/live', signal),
  async isWhole(cluster, signal) {
    const healthy = await Promise.all(
      cluster.nodes.map((node) => answers(cluster, node, '/minio/health/cluster', signal)),
    )
    return healthy.every(Boolean)
  },
  stopLimitMs: 15_000,
}
