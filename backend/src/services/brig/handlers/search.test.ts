import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import type { User } from '../store/users.ts'
import { domain, handle, startTestPeople, type TestPeople } from '../test-people.ts'
import { reindexUsers } from '../store/search-index.ts'

let brig: TestPeople
let alice: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser({ name: 'Alice' })
})
afterEach(() => brig[Symbol.asyncDispose]())

const search = (query: string, version = 15, as = alice) =>
  brig.call('GET', `/search/contacts?${query}`, { as, version })
const namesIn = (body: { documents: { name: string }[] }) => body.documents.map(({ name }) => name)

async function add(fields: Partial<User>): Promise<UserId> {
  const id = await brig.addUser(fields)
  const user = await brig.users.get(id)
  if (user !== undefined) await brig.people.index(user)
  return id
}

describe('search', () => {
  it.each([8, 9, 10, 11, 12, 13, 14, 15])('answers in version %i', async (version) => {
    const bob = await add({ name: 'Bob', handle: handle('bobby'), accentId: 4 })
    const { body } = await search('q=bob', version)
    expect(body).toEqual({
      documents: [
        {
          id: bob,
          qualified_id: { domain, id: bob },
          name: 'Bob',
          handle: 'bobby',
          accent_id: 4,
          ...(version >= 12 && version <= 13 && { searchable: true, user_groups: [] }),
          ...(version >= 15 && { type: 'regular' }),
        },
      ],
      found: 1,
      returned: 1,
      took: 3,
      search_policy: 'full_search',
    })
  })

  it('puts the owner of exactly that handle first, and names nobody twice', async () => {
    await add({ name: 'Bobby Tables' })
    const owner = await add({ name: 'Bobby', handle: handle('bobby') })
    const { body } = await search('q=Bobby')
    expect(body.documents[0].id).toBe(owner)
    expect(body).toMatchObject({ found: 2, returned: 2 })
    expect(namesIn(body)).toEqual(['Bobby', 'Bobby Tables'])
    expect(namesIn((await search('q=%40bobby')).body)).toContain('Bobby')
  })

  it('finds the owner of a handle that the index does not know yet', async () => {
    await brig.addUser({ name: 'Fresh', handle: handle('fresh') })
    expect(namesIn((await search('q=fresh')).body)).toEqual(['Fresh'])
  })

  it('gives as many as asked for, 15 unless told', async () => {
    for (let count = 0; count < 17; count += 1) await add({ name: `Bob ${String(count)}` })
    await add({ name: 'Exact', handle: handle('bob') })
    const standard = await search('q=bob')
    expect(standard.body.documents).toHaveLength(15)
    expect(standard.body).toMatchObject({ returned: 15, found: 18 })
    expect((await search('q=bob&size=3')).body.documents).toHaveLength(3)
    for (const size of ['0', '501', 'x', '1.5']) {
      expect((await search(`q=bob&size=${size}`)).status, size).toBe(400)
    }
  })

  it('shows users as they are now, whatever the index still says', async () => {
    const bob = await add({ name: 'Bob' })
    const gone = await add({ name: 'Bobette' })
    const users = await brig.users.getMany([bob, gone])
    await brig.users.update(users[0] as User, { name: 'Robert' })
    await brig.users.update(users[1] as User, { status: 'deleted' })
    expect(namesIn((await search('q=bob')).body)).toEqual(['Robert'])
  })

  it('never finds the searcher, the hidden or the suspended', async () => {
    await add({ name: 'Bob', handle: handle('hidden'), isSearchable: false })
    await add({ name: 'Bob', handle: handle('out'), status: 'suspended' })
    const searcher = await add({ name: 'Bob', handle: handle('me') })
    for (const q of ['bob', 'hidden', 'out', 'me']) {
      expect((await search(`q=${q}`, 15, searcher)).body.documents, q).toEqual([])
    }
  })

  it('takes kinds of users from version 15 on', async () => {
    await add({ name: 'Bob' })
    await add({ name: 'Bobot', type: 'app' })
    expect(namesIn((await search('q=bob&type=app')).body)).toEqual(['Bobot'])
    expect(namesIn((await search('q=bob&type=regular')).body)).toEqual(['Bob'])
    for (const all of ['&type=', '&type=app,regular', '']) {
      expect((await search(`q=bob${all}`)).body.documents).toHaveLength(2)
    }
    expect((await search('q=bob&type=robot')).status).toBe(400)
  })

  it('knows nobody on other backends and needs a question', async () => {
    const elsewhere = await search('q=bob&domain=other.example')
    expect(elsewhere.body).toMatchObject({ documents: [], search_policy: 'no_search' })
    expect((await search(`q=bob&domain=${domain}`)).body.search_policy).toBe('full_search')
    expect((await search('')).status).toBe(400)
    expect((await search('q=')).body.documents).toEqual([])
  })

  it('is not for guests', async () => {
    const guest = await brig.addUser({ status: 'ephemeral' })
    const reply = await search('q=bob', 15, guest)
    expect(reply.body).toMatchObject({ code: 403, label: 'insufficient-permissions' })
  })
})

describe('the index', () => {
  it('takes out those who are not to be found', async () => {
    const bob = await add({ name: 'Bob' })
    expect(brig.documents.has(bob)).toBe(true)
    const user = (await brig.users.get(bob)) as User
    await brig.people.index({ ...user, status: 'deleted' })
    expect(brig.documents.has(bob)).toBe(false)
    await brig.people.index({ ...user, isActivated: false })
    expect(brig.documents.has(bob)).toBe(false)
  })

  it('does not fail whoever changes a user', async () => {
    brig.failing.push('index')
    const bob = await add({ name: 'Bob' })
    expect(brig.documents.has(bob)).toBe(false)
  })

  it('is built again from the users', async () => {
    const bob = await brig.addUser({ name: 'Bob' })
    const gone = await add({ name: 'Gone' })
    await brig.users.update((await brig.users.get(gone)) as User, { status: 'deleted' })
    const seen = await reindexUsers(brig, { signal: new AbortController().signal })
    expect(seen).toBe(3)
    expect([...brig.documents.keys()].toSorted()).toEqual([alice, bob].toSorted())
    await expect(reindexUsers(brig, { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/)
  })
})
