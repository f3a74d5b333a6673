/** Redis with Sentinel: one primary, two replicas, a sentinel beside each. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type Cluster,
  type Engine,
  type EngineNode,
  firstNode,
  partFolder,
  serverKeys,
} from '../engine.ts'
import type { Command } from '../process.ts'
import { debianProgram } from './debian.ts'

const redisPort = 6379
const sentinelPort = 26379
/** What clients ask Sentinel for. */
export const primaryName = 'tricord'

const run = promisify(execFile)

function program(cluster: Cluster, name: string, args: readonly string[]): Command {
  return debianProgram(partFolder(cluster, 'redis'), name, args)
}

/** Resolves with what redis-cli printed, or nothing if it could not. */
async function ask(
  cluster: Cluster,
  node: EngineNode,
  port: number,
  question: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const tls =
    cluster.tls === undefined
      ? []
      : [
          '--tls',
          '--cacert',
          cluster.tls.authority,
          '--cert',
          cluster.tls.client.certificate,
          '--key',
          cluster.tls.client.key,
        ]
  const command = program(cluster, 'redis-cli', [
    '-h',
    node.address,
    '-p',
    String(port),
    ...tls,
    ...question,
  ])
  const password = cluster.credentials['redis-password']
  try {
    const { stdout } = await run(command.program, command.args, {
      signal,
      timeout: 2000,
      env: { ...command.env, ...(password === undefined ? {} : { REDISCLI_AUTH: password }) },
    })
    return stdout
  } catch {
    return ''
  }
}

function tlsSettings(cluster: Cluster, node: EngineNode, port: number): string[] {
  const server = serverKeys(cluster, node)
  if (cluster.tls === undefined || server === undefined) return [`port ${String(port)}`]
  return [
    'port 0',
    `tls-port ${String(port)}`,
    `tls-cert-file ${server.certificate}`,
    `tls-key-file ${server.key}`,
    `tls-ca-cert-file ${cluster.tls.authority}`,
    'tls-auth-clients optional',
    'tls-replication yes',
  ]
}

/** Redis rewrites this file itself, so it is made once; who is primary stands in it afterwards. */
export function redisConfiguration(cluster: Cluster, node: EngineNode): string {
  const first = firstNode(cluster)
  const password = cluster.credentials['redis-password']
  const lines = [
    `bind ${node.address}`,
    'protected-mode no',
    ...tlsSettings(cluster, node, redisPort),
    `dir ${join(node.directory, 'data')}`,
    'daemonize no',
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory 128mb',
    'maxmemory-policy noeviction',
    'repl-backlog-size 64mb',
    'repl-diskless-sync-delay 0',
    `replica-announce-ip ${node.address}`,
    ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
  ]
  if (cluster.nodes.length > 1) {
    lines.push('min-replicas-to-write 1', 'min-replicas-max-lag 10')
    if (node.index !== first.index) lines.push(`replicaof ${first.address} ${String(redisPort)}`)
  }
  return `${lines.join('\n')}\n`
}

/** Sentinel rewrites it too. */
export function sentinelConfiguration(cluster: Cluster, node: EngineNode): string {
  const first = firstNode(cluster)
  const password = cluster.credentials['redis-password']
  const quorum = Math.floor(cluster.nodes.length / 2) + 1
  const lines = [
    `bind ${node.address}`,
    'protected-mode no',
    ...tlsSettings(cluster, node, sentinelPort),
    `dir ${join(node.directory, 'data')}`,
    'daemonize no',
    `sentinel announce-ip ${node.address}`,
    `sentinel monitor ${primaryName} ${first.address} ${String(redisPort)} ${String(quorum)}`,
    `sentinel down-after-milliseconds ${primaryName} 5000`,
    `sentinel failover-timeout ${primaryName} 60000`,
    `sentinel parallel-syncs ${primaryName} 1`,
    ...(password === undefined
      ? []
      : [`requirepass ${password}`, `sentinel auth-pass ${primaryName} ${password}`]),
  ]
  return `${lines.join('\n')}\n`
}

export const redis: Engine = {
  parts: ['redis'],
  order: 'together',
  folders: ['data'],
  files: (cluster, node) => [
    { path: 'redis.conf', once: true, mode: 0o600, content: redisConfiguration(cluster, node) },
  ],
  command: (cluster, node) =>
    program(cluster, 'redis-server', [join(node.directory, 'redis.conf')]),
  clientAddress: (_cluster, node) => `${node.address}:${String(redisPort)}`,
  isHealthy: async (cluster, node, signal) =>
    (await ask(cluster, node, redisPort, ['PING'], signal)).trim() === 'PONG',
  async isWhole(cluster, signal) {
    const roles = await Promise.all(
      cluster.nodes.map((node) => ask(cluster, node, redisPort, ['INFO', 'replication'], signal)),
    )
    const primaries = roles.filter((text) => text.includes('role:master'))
    const linked = roles.filter((text) => text.includes('master_link_status:up'))
    return primaries.length === 1 && linked.length === cluster.nodes.length - 1
  },
  stopLimitMs: 15_000,
}

export const sentinel: Engine = {
  parts: ['redis'],
  order: 'together',
  folders: ['data'],
  files: (cluster, node) => [
    {
      path: 'sentinel.conf',
      once: true,
      mode: 0o600,
      content: sentinelConfiguration(cluster, node),
    },
  ],
  command: (cluster, node) =>
    program(cluster, 'redis-server', [join(node.directory, 'sentinel.conf'), '--sentinel']),
  clientAddress: (_cluster, node) => `${node.address}:${String(sentinelPort)}`,
  isHealthy: async (cluster, node, signal) =>
    (await ask(cluster, node, sentinelPort, ['PING'], signal)).trim() === 'PONG',
  async isWhole(cluster, signal) {
    const answers = await Promise.all(
      cluster.nodes.map((node) =>
        ask(cluster, node, sentinelPort, ['SENTINEL', 'CKQUORUM', primaryName], signal),
      ),
    )
    const usable = `OK ${String(cluster.nodes.length)} usable Sentinels`
    return answers.every((text) => text.startsWith(usable))
  },
  stopLimitMs: 10_000,
}
