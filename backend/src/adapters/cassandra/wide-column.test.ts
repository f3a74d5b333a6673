import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wideColumnContract } from '../../ports/wide-column.contract.ts'
import { put, remove, table, update, type WideColumnStore } from '../../ports/wide-column.ts'
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
    const name = `${keyspace}_contract`
    await session.administer(name, `DROP KEYSPACE IF EXISTS ${name}`)
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

  it('agrees on its schema also while somebody else changes another one', async () => {
    const [own, other] = [`${keyspace}_own`, `${keyspace}_other`]
    const create = (name: string): string =>
      `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
    for (const name of [own, other]) await session.administer(name, create(name))
    // As a job does: whoever never waited for the nodes would get ahead of them for good.
    async function change(name: string, number: number): Promise<void> {
      await session.administer(name, `CREATE TABLE ${name}.t${number} (id int PRIMARY KEY)`)
      await session.untilAgreed([name])
    }
    const stopping = new AbortController()
    const changing = (async () => {
      for (let number = 0; !stopping.signal.aborted; number += 1) await change(other, number)
    })()
    try {
      for (let round = 0; round < 3; round += 1) {
        await change(own, round)
        // Any node may be asked.
        for (let ask = 0; ask < 6; ask += 1) {
          await session.read({ query: `SELECT * FROM ${own}.t${round}`, params: [] })
        }
      }
    } finally {
      stopping.abort()
      await changing
    }
    for (const name of [own, other]) await session.administer(name, `DROP KEYSPACE ${name}`)
  })

  describe('a write that arrives after one with a later time', () => {
    const seats = table({
      name: 'contract_seats',
      partition: { room: 'uuid' },
      cluster: { user: 'uuid' },
      columns: { role: 'text', note: 'text?' },
    })
    const key = () => ({ room: randomUUID(), user: randomUUID() })
    const at = (writtenAtMicros: bigint) => ({ writtenAtMicros })

    it('changes nothing that the later one wrote', async () => {
      await using store = await open()
      await store.open([seats])
      const seat = key()
      await store.batch([put(seats, { ...seat, role: 'member' }, at(1000n))])
      await store.batch([update(seats, seat, { role: 'admin' }, at(3000n))])
      await store.batch([put(seats, { ...seat, role: 'member', note: 'n' }, at(2000n))])
      expect(await store.get(seats, seat)).toEqual({ ...seat, role: 'admin', note: 'n' })
    })

    it('brings nothing back and takes nothing away', async () => {
      await using store = await open()
      await store.open([seats])
      const seat = key()
      await store.batch([put(seats, { ...seat, role: 'member' }, at(1000n))])
      await store.batch([remove(seats, seat, at(3000n))])
      await store.batch([put(seats, { ...seat, role: 'member' }, at(2000n))])
      await store.batch([update(seats, seat, { role: 'admin' }, at(2500n))])
      expect(await store.get(seats, seat)).toBeUndefined()
      await store.batch([put(seats, { ...seat, role: 'admin' }, at(4000n))])
      await store.batch([remove(seats, seat, at(3000n))])
      expect(await store.get(seats, seat)).toEqual({ ...seat, role: 'admin' })
    })
  })
})
