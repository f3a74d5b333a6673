/** Our own superuser in place of the one that everybody knows. */
import { readFile } from 'node:fs/promises'
import { auth, Client } from 'cassandra-driver'
import type { Cluster } from '../engine.ts'

export const cqlPort = 9042
export const datacenter = 'dc1'
export const superuser = 'tricord'
const stockUser = 'cassandra'
const stockPassword = 'cassandra'

async function connect(cluster: Cluster, user: string, password: string): Promise<Client> {
  const ca = cluster.tls === undefined ? [] : [await readFile(cluster.tls.authority)]
  const client = new Client({
    contactPoints: cluster.nodes.map((node) => `${node.address}:${String(cqlPort)}`),
    localDataCenter: datacenter,
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
