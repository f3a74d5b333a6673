import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe } from 'vitest'
import { wideColumnContract } from '../../ports/wide-column.contract.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { createSchema } from './create-schema.ts'
import { connect, type Session } from './session.ts'
import { cassandraStore } from './wide-column.ts'

const nodes = process.env['TEST_CASSANDRA']?.split(',')
const keyspace = `t${randomBytes(5).toString('hex')}`
// The first test makes the tables.
const timeout = 120_000

describe.skipIf(nodes === undefined)('Cassandra', { timeout }, () => {
  let session: Session
  beforeAll(async () => {
    // Far more patient than a server is: other tests may use the machine.
    session = await connect({
      contactPoints: nodes ?? [],
      localDatacenter: 'dc1',
      requestTimeoutMs: 20_000,
    })
  }, timeout)
  afterAll(async () => {
    await session.administer(`DROP KEYSPACE IF EXISTS ${keyspace}_contract`)
    await session[Symbol.asyncDispose]()
  }, timeout)

  /** One session for the whole suite; each store has tables of its own to open. */
  async function open(): Promise<WideColumnStore> {
    const store = cassandraStore(session, { keyspace })
    return {
      ...store,
      async open(tables) {
        await createSchema(session, keyspace, tables)
        await store.open(tables)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  wideColumnContract(open)
})
