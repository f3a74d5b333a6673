import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import { systemIds } from '../../../platform/ids.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import { lastPrekeyId, prekeyStore, prekeysTable, type PrekeyStore } from './prekeys.ts'

const ids = systemIds()
const client = 'abc' as ClientId
let db: WideColumnStore
let prekeys: PrekeyStore
let user: UserId
beforeEach(async () => {
  db = await openSqlite({ file: ':memory:' })
  await db.open([prekeysTable])
  prekeys = prekeyStore(db, ids)
  user = ids.uuid() as UserId
})
afterEach(() => db[Symbol.asyncDispose]())

const keys = (from: number, count: number, text = 'key') =>
  Array.from({ length: count }, (_, at) => ({
    id: from + at,
    key: `${text} ${String(from + at)}`,
  }))

it('hands out each key once and the last resort for ever, however callers and uploads interleave', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('claim', 'upload'), { minLength: 1, maxLength: 40 }),
      async (steps) => {
        const user = ids.uuid() as UserId
        await prekeys.add(user, client, [{ id: lastPrekeyId, key: 'last' }, ...keys(0, 5)])
        let uploads = 5
        const claimed = await Promise.all(
          steps.map(async (step) => {
            if (step === 'claim') return prekeys.claim(user, client)
            uploads += 3
            await prekeys.add(user, client, keys(uploads - 3, 3))
            return undefined
          }),
        )
        const given = claimed.filter((prekey) => prekey !== undefined)
        expect(given).toHaveLength(steps.filter((step) => step === 'claim').length)
        const single = given.filter(({ id }) => id !== lastPrekeyId).map(({ id }) => id)
        expect(new Set(single).size).toBe(single.length)
        const left = await prekeys.listIds(user, client)
        expect(left).toHaveLength(uploads - single.length + 1)
        for (const id of single) expect(left).not.toContain(id)
      },
    ),
    { numRuns: 30 },
  )
})

it('replaces a key with the same number; of two in one upload the last counts', async () => {
  await prekeys.add(user, client, keys(0, 1, 'old'))
  await prekeys.add(user, client, [...keys(0, 1, 'skipped'), ...keys(0, 1, 'new')])
  await prekeys.add(user, client, keys(0, 1, 'new'))
  expect(await prekeys.claim(user, client)).toEqual({ id: 0, key: 'new 0' })
  expect(await prekeys.claim(user, client)).toBeUndefined()
})

it('keeps racing uploads of the same numbers whole', async () => {
  await Promise.all(['a', 'b', 'c'].map((text) => prekeys.add(user, client, keys(0, 150, text))))
  expect(await prekeys.listIds(user, client)).toEqual(keys(0, 150).map(({ id }) => id))
})

it('forgets all keys of a device and no others', async () => {
  const other = 'def' as ClientId
  await prekeys.add(user, client, [...keys(0, 250), { id: lastPrekeyId, key: 'last' }])
  await prekeys.add(user, other, keys(0, 1))
  await prekeys.removeAll(user, client)
  expect(await prekeys.listIds(user, client)).toEqual([])
  expect(await prekeys.listIds(user, other)).toEqual([0])
})
