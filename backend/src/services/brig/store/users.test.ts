import { describe, expect, it } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import type { Email, Locale } from '../../../contract/brig/user-fields.ts'
import type { UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { systemIds } from '../../../platform/ids.ts'
import { userStore, usersTable } from './users.ts'
import type { User } from './users.ts'

async function openStore() {
  const clock = fakeClock()
  const db = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  await db.open([usersTable])
  return {
    clock,
    users: userStore(db, clock),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}

const newUser = (fields: Partial<User> = {}): User => ({
  id: systemIds().uuid() as UserId,
  name: 'Alice',
  accentId: 1,
  assets: [{ key: '3-1-5c1a1f2e-4b1d-4a58-8a0d-000000000001', type: 'image', size: 'complete' }],
  picture: [{ any: 'thing' }],
  textStatus: undefined,
  locale: 'en' as Locale,
  handle: undefined,
  email: 'alice@example.com' as Email,
  emailUnvalidated: undefined,
  status: 'active',
  isActivated: true,
  team: undefined,
  managedBy: 'wire',
  supportedProtocols: ['proteus', 'mls'],
  type: 'regular',
  isSearchable: true,
  expiresMs: undefined,
  createdMs: 1000,
  changedMs: 1000,
  ...fields,
})

describe('the table of users', () => {
  it('gives back what it was given', async () => {
    await using store = await openStore()
    const user = newUser()
    expect(await store.users.create(user)).toBe(true)
    expect(await store.users.create({ ...user, name: 'Mallory' })).toBe(false)
    expect(await store.users.get(user.id)).toEqual(user)
  })

  it('finds several in the order asked for, each once, without the unknown', async () => {
    await using store = await openStore()
    const [alice, bob] = [newUser(), newUser({ name: 'Bob' })]
    await store.users.create(alice)
    await store.users.create(bob)
    const unknown = systemIds().uuid() as UserId
    const found = await store.users.getMany([bob.id, unknown, alice.id, bob.id])
    expect(found.map(({ name }) => name)).toEqual(['Bob', 'Alice'])
  })

  it('raises the version with every change, also when the clock was set back', async () => {
    await using store = await openStore()
    const user = newUser({ changedMs: 0 })
    await store.users.create(user)
    const first = await store.users.update(user, { name: 'One' })
    store.clock.setNow(5)
    const second = first && (await store.users.update(first, { name: 'Two' }))
    expect(second?.changedMs).toBeGreaterThan(first?.changedMs ?? Number.POSITIVE_INFINITY)
    expect(await store.users.get(user.id)).toEqual(second)
  })

  it('keeps changes of different fields that were made from the same sight', async () => {
    await using store = await openStore()
    const user = newUser()
    await store.users.create(user)
    await Promise.all([
      store.users.update(user, { name: 'New' }),
      store.users.update(user, { accentId: 9 }),
      store.users.update(user, { email: undefined, textStatus: 'away' }),
    ])
    const after = await store.users.get(user.id)
    expect(after).toMatchObject({
      name: 'New',
      accentId: 9,
      textStatus: 'away',
      assets: user.assets,
    })
    expect(after?.email).toBeUndefined()
  })

  it('changes nothing of a user who was deleted in between', async () => {
    await using store = await openStore()
    const user = newUser()
    await store.users.create(user)
    await store.users.update(user, { status: 'deleted', name: 'default' })
    expect(await store.users.update(user, { name: 'Back again' })).toBeUndefined()
    expect((await store.users.get(user.id))?.name).toBe('default')
  })

  it('changes nothing when a field that must stay has changed, and does when another has', async () => {
    await using store = await openStore()
    const user = newUser()
    await store.users.create(user)
    await store.users.update(user, { supportedProtocols: ['mls'] })
    const stale = store.users.update(user, { name: 'No' }, ['supportedProtocols'])
    expect(await stale).toBeUndefined()
    expect(await store.users.update(user, { name: 'Yes' }, ['assets', 'email'])).toBeDefined()
  })
})
