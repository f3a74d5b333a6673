import { describe, expect, it, vi } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { codesTable, codeStore } from './codes.ts'

const maxTries = 3
const key = 'a-key'

async function openStore() {
  const clock = fakeClock()
  const db = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  await db.open([codesTable])
  const codes = codeStore(db, { clock, maxTries })
  await codes.issue('activation', key, { code: '123456', ttlSeconds: 60 })
  return {
    clock,
    codes,
    db,
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}

describe('the table of codes', () => {
  it('finds the right code any number of times, and none that is wrong', async () => {
    await using store = await openStore()
    for (let i = 0; i < 2 * maxTries; i += 1) {
      expect(await store.codes.check('activation', key, '123456')).toBeDefined()
    }
    expect(await store.codes.check('activation', key, '123457')).toBeUndefined()
    expect(await store.codes.check('activation', 'another key', '123456')).toBeUndefined()
    expect(await store.codes.check('deletion', key, '123456')).toBeUndefined()
  })

  it('grants only so many wrong guesses, also to those who guess at the same moment', async () => {
    await using store = await openStore()
    const compare = vi.spyOn(store.db, 'updateIf')
    const guesses = Array.from({ length: maxTries + 1 }, (_, i) => `00000${String(i)}`)
    await Promise.all(guesses.map((guess) => store.codes.check('activation', key, guess)))
    const taken = await Promise.all(compare.mock.results.map(({ value }) => value as unknown))
    expect(taken.filter((isTaken) => isTaken === true)).toHaveLength(maxTries)
    expect(await store.codes.check('activation', key, '123456')).toBeUndefined()
  })

  it('settles only what somebody else changed meanwhile', async () => {
    await using store = await openStore()
    const reads = vi.spyOn(store.db, 'get')
    await store.codes.check('activation', key, '123456')
    expect(reads).toHaveBeenCalledTimes(1)
    expect(reads.mock.calls[0]?.[2]?.isSerial ?? false).toBe(false)
  })

  it('forgets a code with its time, and for a newer one', async () => {
    await using store = await openStore()
    await store.codes.issue('activation', key, { code: '654321', ttlSeconds: 60 })
    expect(await store.codes.check('activation', key, '123456')).toBeUndefined()
    expect(await store.codes.check('activation', key, '654321')).toBeDefined()
    await store.clock.advance(60_001)
    expect(await store.codes.check('activation', key, '654321')).toBeUndefined()
    expect(await store.codes.find('activation', key)).toBeUndefined()
  })
})
