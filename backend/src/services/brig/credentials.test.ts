import { describe, expect, it } from 'vitest'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import { ApiError } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { systemIds } from '../../platform/ids.ts'
import { createPasswords } from '../../platform/passwords.ts'
import { AccountsConfig } from './config.ts'
import { createCredentials } from './credentials.ts'
import { passwordStore, passwordsTable } from './store/passwords.ts'

const ids = systemIds()
const cheap = { memoryKib: 8, passes: 1, lanes: 1 }

async function openCredentials() {
  const db = await openSqlite({ file: ':memory:' })
  await db.open([passwordsTable])
  const store = passwordStore(db)
  const clock = fakeClock()
  const config = AccountsConfig.parse({})
  const withCost = (cost: typeof cheap) =>
    createCredentials({ passwords: createPasswords({ ids, cost }), store, config, clock })
  return { clock, store, withCost, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}

describe('a password', () => {
  it('is right, wrong, missing or not there at all', async () => {
    await using own = await openCredentials()
    const credentials = own.withCost(cheap)
    const alice = ids.uuid() as UserId
    expect(await credentials.check(alice, 'anything')).toBe('none')
    await credentials.setFirst(alice, 'correct horse', '192.0.2.1')
    expect(await credentials.check(alice, undefined)).toBe('missing')
    expect(await credentials.check(alice, 'wrong horse')).toBe('wrong')
    expect(await credentials.check(alice, 'correct horse')).toBe('right')
    await credentials.forget(alice)
    expect(await credentials.has(alice)).toBe(false)
  })

  it('is hashed anew at the cost of today when it was right', async () => {
    await using own = await openCredentials()
    const alice = ids.uuid() as UserId
    await own.withCost(cheap).setFirst(alice, 'correct horse', '192.0.2.1')
    const before = await own.store.get(alice)
    const dearer = own.withCost({ ...cheap, passes: 2 })
    expect(await dearer.checkLogin(alice, 'alice', 'wrong horse')).toBe(false)
    expect(await own.store.get(alice)).toBe(before)
    expect(await dearer.checkLogin(alice, 'alice', 'correct horse')).toBe(true)
    expect(await own.store.get(alice)).toContain('t=2')
    expect(await dearer.checkLogin(alice, 'alice', 'correct horse')).toBe(true)
  })

  it('can be tried five times, then once a minute, by whatever way', async () => {
    await using own = await openCredentials()
    const credentials = own.withCost(cheap)
    const alice = ids.uuid() as UserId
    await credentials.setFirst(alice, 'correct horse', '192.0.2.1')
    for (let i = 0; i < 3; i += 1) await credentials.check(alice, 'wrong horse')
    for (let i = 0; i < 2; i += 1) await credentials.checkLogin(alice, 'alice', 'wrong horse')
    await expect(credentials.check(alice, 'correct horse')).rejects.toBeInstanceOf(ApiError)
    await expect(credentials.change(alice, 'another one')).rejects.toBeInstanceOf(ApiError)
    await own.clock.advance(60_000)
    expect(await credentials.check(alice, 'correct horse')).toBe('right')
  })
})
