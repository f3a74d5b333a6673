import { describe, expect, it } from 'vitest'
import type { Cluster, EngineName, EngineNode, TlsFiles } from '../engine.ts'
import { nodesOf } from '../layout.ts'
import { cassandra, cassandraSettings } from './cassandra.ts'
import { etcdFlags } from './etcd.ts'
import { minio, minioDrives } from './minio.ts'
import { openSearchSettings, stunnelConfiguration } from './opensearch.ts'
import { redisConfiguration, sentinelConfiguration } from './redis.ts'

const keys = { certificate: '/t/s.pem', key: '/t/s.key', both: '/t/s.both.pem' }
const tls: TlsFiles = {
  authority: '/t/authority.pem',
  servers: { 1: keys, 2: keys, 3: keys },
  client: keys,
}

function clusterOf(name: EngineName, nodes: 1 | 3, isSecure = false): Cluster {
  return {
    name,
    nodes: nodesOf(name, { network: '127.77.9', directory: '/d', nodes }),
    parts: { cassandra: '/p/cassandra', 'java-17': '/p/java', minio: '/p/minio' },
    credentials: isSecure
      ? { 'cassandra-password': 'secret', 'redis-password': 'secret', 'minio-secret-key': 'secret' }
      : { 'minio-access-key': 'tricord', 'minio-secret-key': 'tricord-on-loopback' },
    tls: isSecure ? tls : undefined,
  }
}

function nodeOf(cluster: Cluster, index: number): EngineNode {
  const node = cluster.nodes[index - 1]
  if (node === undefined) throw new Error(`there is no node ${String(index)}`)
  return node
}

describe('Cassandra', () => {
  it('has two seeds and a rack for each of three nodes', () => {
    const cluster = clusterOf('cassandra', 3)
    const settings = JSON.stringify(cassandraSettings(cluster, nodeOf(cluster, 3)))
    expect(settings).toContain('127.77.9.1:7000,127.77.9.2:7000')
    const racks = cluster.nodes.map(
      (node) =>
        cassandra.files(cluster, node).find((file) => file.path.endsWith('.properties'))?.content,
    )
    expect(racks).toEqual(['dc=dc1\nrack=rack1\n', 'dc=dc1\nrack=rack2\n', 'dc=dc1\nrack=rack3\n'])
  })

  it('answers a write only when it is on disk, within ten milliseconds of waiting for others', () => {
    const cluster = clusterOf('cassandra', 1)
    const settings = cassandraSettings(cluster, nodeOf(cluster, 1))
    expect(settings['commitlog_sync']).toBe('group')
    expect(
      Number.parseInt(String(settings['commitlog_sync_group_window']), 10),
    ).toBeLessThanOrEqual(10)
  })

  it('asks for passwords and speaks TLS only when it is to be secure', () => {
    const plain = clusterOf('cassandra', 1)
    expect(cassandraSettings(plain, nodeOf(plain, 1))['authenticator']).toBe(
      'AllowAllAuthenticator',
    )
    const secure = clusterOf('cassandra', 3, true)
    const settings = cassandraSettings(secure, nodeOf(secure, 2))
    expect(settings['authenticator']).toBe('PasswordAuthenticator')
    expect(settings['client_encryption_options']).toMatchObject({ enabled: true, optional: false })
    expect(settings['server_encryption_options']).toMatchObject({ internode_encryption: 'all' })
  })

  it('is told no password on its command line', () => {
    const secure = clusterOf('cassandra', 1, true)
    expect(cassandra.command(secure, nodeOf(secure, 1)).args.join(' ')).not.toContain('secret')
  })
})

describe('etcd', () => {
  it('knows all members and asks for certificates of clients and peers', () => {
    const cluster = clusterOf('etcd', 3, true)
    expect(etcdFlags(cluster, nodeOf(cluster, 2))).toMatchObject({
      name: 'etcd2',
      'listen-client-urls': 'https://127.77.9.2:2379',
      'initial-cluster':
        'etcd1=https://127.77.9.1:2380,etcd2=https://127.77.9.2:2380,etcd3=https://127.77.9.3:2380',
      'client-cert-auth': 'true',
      'peer-client-cert-auth': 'true',
    })
  })
})

describe('MinIO', () => {
  it('has one drive alone and six drives of three nodes, told apart by their ports', () => {
    expect(minioDrives(clusterOf('minio', 1))).toEqual(['/d/minio1/drive1'])
    expect(minioDrives(clusterOf('minio', 3))).toEqual([
      'http://127.77.9.1:9000/d/minio1/drive1',
      'http://127.77.9.1:9000/d/minio1/drive2',
      'http://127.77.9.2:9001/d/minio2/drive1',
      'http://127.77.9.2:9001/d/minio2/drive2',
      'http://127.77.9.3:9002/d/minio3/drive1',
      'http://127.77.9.3:9002/d/minio3/drive2',
    ])
  })

  it('has its secrets in a file that only its owner reads, the same for all nodes', () => {
    const cluster = clusterOf('minio', 3)
    const environments = cluster.nodes.map((node) => minio.command(cluster, node).env)
    expect(new Set(environments.map((one) => one?.['MINIO_CONFIG_ENV_FILE'])).size).toBe(1)
    expect(JSON.stringify(environments)).not.toContain('tricord-on-loopback')
    const [file] = minio.files(cluster, nodeOf(cluster, 1))
    expect(file).toMatchObject({ mode: 0o600 })
    expect(file?.content).toContain('MINIO_ROOT_PASSWORD=tricord-on-loopback')
  })
})

describe('Redis and Sentinel', () => {
  it('begin with the first node as primary, which refuses writes when it is alone', () => {
    const cluster = clusterOf('redis', 3)
    const first = redisConfiguration(cluster, nodeOf(cluster, 1))
    expect(first).not.toContain('replicaof')
    expect(first).toContain('min-replicas-to-write 1\n')
    expect(redisConfiguration(cluster, nodeOf(cluster, 3))).toContain('replicaof 127.77.9.1 6379\n')
    expect(sentinelConfiguration(clusterOf('sentinel', 3), nodeOf(cluster, 2))).toContain(
      'sentinel monitor tricord 127.77.9.1 6379 2\n',
    )
  })

  it('alone accept writes, and one sentinel is a majority', () => {
    const cluster = clusterOf('redis', 1)
    expect(redisConfiguration(cluster, nodeOf(cluster, 1))).not.toContain('min-replicas')
    expect(sentinelConfiguration(cluster, nodeOf(cluster, 1))).toContain('127.77.9.1 6379 1\n')
  })

  it('have no plain port when they are secure', () => {
    const cluster = clusterOf('redis', 3, true)
    const text = redisConfiguration(cluster, nodeOf(cluster, 1))
    expect(text).toContain('port 0\ntls-port 6379\n')
    expect(text).toContain('requirepass secret\nmasterauth secret\n')
  })
})

describe('OpenSearch', () => {
  it('stands behind stunnel when it is secure, and asks for a certificate', () => {
    const cluster = clusterOf('opensearch', 3, true)
    const node = nodeOf(cluster, 2)
    expect(openSearchSettings(cluster, node)['network.host']).toBe('127.77.9.102')
    const text = stunnelConfiguration(cluster, node)
    expect(text).toContain('accept = 127.77.9.2:9200\nconnect = 127.77.9.102:9200\n')
    expect(text).toContain('requireCert = yes\n')
    const plain = clusterOf('opensearch', 1)
    expect(openSearchSettings(plain, nodeOf(plain, 1))['network.host']).toBe('127.77.9.1')
  })
})
