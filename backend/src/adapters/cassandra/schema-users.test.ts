import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, expect, it } from 'vitest'
import { UnknownOutcome } from '../../contract/error.ts'
import { fakeClock, type FakeClock } from '../../platform/fake-clock.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { openSqlite } from '../sqlite/wide-column.ts'
import { announceSchemaUse, schemaUsers, schemaUsersTable, userTtlSeconds } from './schema-users.ts'

let db: WideColumnStore
let clock: FakeClock
let failures: unknown[]
beforeEach(async () => {
  clock = fakeClock()
  failures = []
  db = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  await db.open([schemaUsersTable])
})

const use = (store: WideColumnStore) =>
  announceSchemaUse(store, {
    service: 'brig',
    host: 'one',
    process: randomUUID(),
    schema: 3,
    clock,
    failed: (error) => failures.push(error),
  })

it('is told for as long as the process runs', async () => {
  const announced = use(db)
  await announced.begin()
  for (let passed = 0; passed < 10 * userTtlSeconds; passed += 10) {
    await clock.advance(10_000)
    // A write takes some turns of its own.
    for (let turn = 0; turn < 5; turn += 1) await nextTurn()
  }
  expect(await schemaUsers(db)).toMatchObject([{ service: 'brig', host: 'one', schema: 3 }])
  await announced[Symbol.asyncDispose]()
  expect(await schemaUsers(db)).toEqual([])
  expect(failures).toEqual([])
})

it('is forgotten some time after a process that ended without a word', async () => {
  await db.put(
    schemaUsersTable,
    { scope: 'all', process: randomUUID(), service: 'galley', host: 'two', schema: 2 },
    { ttlSeconds: userTtlSeconds },
  )
  expect(await schemaUsers(db)).toHaveLength(1)
  clock.setNow(clock.nowMs() + userTtlSeconds * 1000)
  expect(await schemaUsers(db)).toEqual([])
})

it('is told before the process may begin, however often the store has to be asked', async () => {
  let left = 3
  const away: WideColumnStore = {
    ...db,
    put: (...args) => {
      left -= 1
      return left < 0 ? db.put(...args) : Promise.reject(new UnknownOutcome('no answer'))
    },
  }
  let hasBegun = false
  const announced = use(away)
  const begun = announced.begin().then(() => (hasBegun = true))
  await clock.advance(1500)
  expect(hasBegun).toBe(false)
  await clock.advance(5000)
  await begun
  expect(failures).toHaveLength(3)
  expect(await schemaUsers(db)).toHaveLength(1)
  await announced[Symbol.asyncDispose]()
})
