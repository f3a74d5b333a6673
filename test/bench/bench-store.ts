import { randomBytes } from 'node:crypto'
import { createSchema } from '../../backend/src/adapters/cassandra/create-schema.ts'
import { keyspaceOf } from '../../backend/src/adapters/cassandra/schema.ts'
import { connect, type Session } from '../../backend/src/adapters/cassandra/session.ts'
import { cassandraStore } from '../../backend/src/adapters/cassandra/wide-column.ts'
import type { AnyTable, WideColumnStore } from '../../backend/src/ports/wide-column.ts'

export interface BenchStore extends AsyncDisposable {
  readonly store: WideColumnStore
  /** Requests that went to the cluster since the last call. */
  readonly requests: () => number
}

/** Tables of its own on a cluster that is there, until it is disposed. */
export async function openBenchStore(
  nodes: readonly string[],
  tables: readonly AnyTable[],
): Promise<BenchStore> {
  await using opening = new AsyncDisposableStack()
  const keyspace = `bench${randomBytes(4).toString('hex')}`
  const session = opening.use(
    await connect({ contactPoints: nodes, localDatacenter: 'dc1', requestTimeoutMs: 20_000 }),
  )
  await createSchema(session, keyspace, tables)
  for (const name of new Set(tables.map((table) => keyspaceOf(keyspace, table.name)))) {
    opening.defer(() => session.administer(name, `DROP KEYSPACE "${name}"`))
  }
  let count = 0
  const counting: Session = {
    ...session,
    read: (...args) => ((count += 1), session.read(...args)),
    write: (...args) => ((count += 1), session.write(...args)),
    writeIf: (...args) => ((count += 1), session.writeIf(...args)),
  }
  const store = cassandraStore(counting, { keyspace })
  await store.open(tables)
  const opened = opening.move()
  return {
    store,
    requests() {
      const before = count
      count = 0
      return before
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
