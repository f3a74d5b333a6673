/** Our own superuser in place of the one that everybody knows. */
import { readFile } from 'node:fs/promises'
import { auth, Client, policies, types } from 'cassandra-driver'
import type { Cluster, EngineNode } from '../engine.ts'

export const cqlPort = 9042
export const datacenter = 'dc1'
export const superuser = 'tricord'
const stockUser = 'cassandra'
const stockPassword = 'cassandra'

const { AllowListPolicy, RoundRobinPolicy } = policies.loadBalancing

/** @param nodes All requests go to these only. */
async function connect(
  cluster: Cluster,
  user: string,
  password: string,
  nodes: readonly EngineNode[] = cluster.nodes,
): Promise<Client> {
  const contactPoints = nodes.map((node) => `${node.address}:${String(cqlPort)}`)
  const ca = cluster.tls === undefined ? [] : [await readFile(cluster.tls.authority)]
  const client = new Client({
    contactPoints,
    localDataCenter: datacenter,
    policies: { loadBalancing: new AllowListPolicy(new RoundRobinPolicy(), contactPoints) },
    authProvider: new auth.PlainTextAuthProvider(user, password),
    ...(cluster.tls === undefined ? {} : { sslOptions: { ca, rejectUnauthorized: true } }),
    socketOptions: { readTimeout: 60_000 },
  })
  try {
    await client.connect()
  } catch (error) {
    await client.shutdown()
    throw error
  }
  return client
}

/** Whether `node` takes every other one for alive: a read of all replicas goes through it. */
export async function seesAll(cluster: Cluster, node: EngineNode): Promise<boolean> {
  const password = cluster.credentials['cassandra-password'] ?? stockPassword
  try {
    const client = await connect(cluster, superuser, password, [node]).catch(() =>
      // Before the superuser is made.
      connect(cluster, stockUser, stockPassword, [node]),
    )
    try {
      // Cassandra keeps three copies of this keyspace, however many nodes there are.
      await client.execute(
        "SELECT * FROM system_distributed.view_build_status WHERE keyspace_name = '' AND view_name = ''",
        [],
        { consistency: types.consistencies.all, prepare: false },
      )
    } finally {
      await client.shutdown()
    }
    return true
  } catch {
    return false
  }
}

/** Does nothing without a password or when it was done before. */
export async function prepareCassandra(cluster: Cluster): Promise<void> {
  const password = cluster.credentials['cassandra-password']
  if (password === undefined) return
  const isDone = await connect(cluster, superuser, password).then(
    async (client) => {
      await client.shutdown()
      return true
    },
    () => false,
  )
  if (isDone) return
  const stock = await connect(cluster, stockUser, stockPassword)
  try {
    const copies = String(cluster.nodes.length)
    await stock.execute(
      'ALTER KEYSPACE system_auth WITH replication = ' +
        `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${copies}}`,
    )
    await stock.execute(
      `CREATE ROLE IF NOT EXISTS ${superuser} WITH SUPERUSER = true AND LOGIN = true ` +
        `AND PASSWORD = '${password}'`,
    )
  } finally {
    await stock.shutdown()
  }
  const own = await connect(cluster, superuser, password)
  try {
    // Everybody knows its password, and it is read at QUORUM: an outage would lock it out.
    await own.execute(`DROP ROLE IF EXISTS ${stockUser}`)
  } finally {
    await own.shutdown()
  }
}
