import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TeamId, UserId } from '../../../contract/ids.ts'
import { domain, handle, newId, startTestPeople, type TestPeople } from '../test-people.ts'

const versions = [8, 9, 10, 11, 12, 13, 14, 15]

let brig: TestPeople
let alice: UserId
let bob: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser()
  bob = await brig.addUser({ name: 'Bob', handle: handle('bob') })
})
afterEach(() => brig[Symbol.asyncDispose]())

const get = (path: string, version = 15) => brig.call('GET', path, { as: alice, version })
const list = (body: unknown, version = 15) =>
  brig.call('POST', '/list-users', { as: alice, body, version })
const id = (user: string, of: string = domain) => ({ domain: of, id: user })

describe('the profile of a user', () => {
  it.each(versions)('has the shape of version %i', async (version) => {
    const { body } = await get(`/users/${domain}/${bob}`, version)
    expect(body).toEqual({
      id: bob,
      qualified_id: id(bob),
      name: 'Bob',
      handle: 'bob',
      accent_id: 0,
      assets: [],
      picture: [],
      supported_protocols: ['proteus'],
      legalhold_status: 'no_consent',
      ...(version >= 12 && { type: 'regular', searchable: true }),
    })
    const listed = await list({ qualified_ids: [id(bob)] }, version)
    expect(listed.body).toEqual({ found: [body] })
  })

  it('says of a deleted user that it is deleted', async () => {
    const gone = await brig.addUser({ status: 'deleted' })
    const { status, body } = await get(`/users/${domain}/${gone}`)
    expect([status, body.deleted]).toEqual([200, true])
  })

  it('is not found for those who never were, did not come yet, or live elsewhere', async () => {
    const invited = await brig.addUser({ status: 'pending-invitation' })
    for (const path of [`${domain}/${newId()}`, `${domain}/${invited}`, `other.example/${bob}`]) {
      const reply = await get(`/users/${path}`)
      expect(reply.body, path).toMatchObject({ code: 404, label: 'not-found' })
    }
  })

  it('is refused for what is no id', async () => {
    expect((await get(`/users/${domain}/bob`)).status).toBe(400)
    expect((await get(`/users/x/${bob}`)).status).toBe(400)
  })
})

describe('several profiles', () => {
  it('come by id in the order asked for, without those that nobody knows', async () => {
    const reply = await list({ qualified_ids: [id(bob), id(newId()), id(alice), id(bob)] })
    const found = (reply.body.found as { id: string }[]).map((user) => user.id)
    expect(found).toEqual([bob, alice])
    expect(reply.body).not.toHaveProperty('failed')
  })

  it('come by handle', async () => {
    await brig.addUser({ handle: handle('gone'), status: 'deleted' })
    const names = ['bob', 'nobody', 'gone'].map((name) => ({ domain, handle: name }))
    const reply = await list({ qualified_handles: names })
    expect((reply.body.found as { id: string }[]).map((user) => user.id)).toEqual([bob])
  })

  it('name those of other backends as failed', async () => {
    const other = id(newId(), 'other.example')
    const reply = await list({ qualified_ids: [other, id(bob)] })
    expect(reply.body.failed).toEqual([other])
    expect(reply.body.found).toHaveLength(1)
  })

  it.each([
    ['both ways at once', { qualified_ids: [], qualified_handles: [] }],
    ['neither way', {}],
    [
      'five handles',
      { qualified_handles: Array.from({ length: 5 }, () => ({ domain, handle: 'bob' })) },
    ],
    ['a handle that is none', { qualified_handles: [{ domain, handle: 'B!' }] }],
  ])('are refused for %s', async (_, body) => {
    expect((await list(body)).body).toMatchObject({ code: 400, label: 'bad-request' })
  })
})

describe('what else is known of a user', () => {
  it('is which protocols they speak', async () => {
    const carol = await brig.addUser({ supportedProtocols: ['proteus', 'mls'] })
    const path = `/users/${domain}/${carol}/supported-protocols`
    for (const version of versions) {
      expect((await get(path, version)).body).toEqual(['proteus', 'mls'])
    }
    expect((await get(`/users/${domain}/${newId()}/supported-protocols`)).status).toBe(404)
  })

  it('is what their organisation says of them, for members of the same team', async () => {
    const team = newId() as TeamId
    const [one, two] = [await brig.addUser({ team }), await brig.addUser({ team })]
    const path = `/users/${two}/rich-info`
    const seen = await brig.call('GET', path, { as: one })
    expect(seen.body).toEqual({ version: 0, fields: [] })
    for (const user of [alice, bob]) {
      const refused = await brig.call('GET', `/users/${bob}/rich-info`, { as: user })
      expect(refused.body).toMatchObject({ code: 403, label: 'insufficient-permissions' })
    }
    expect((await brig.call('GET', path, { as: alice })).status).toBe(403)
    expect((await get(`/users/${newId()}/rich-info`)).status).toBe(404)
  })
})

describe('devices of a user', () => {
  it.each([8, 15])('are seen by others with id and class, in version %i', async (version) => {
    const phone = await brig.addClient(bob, { class: 'phone', label: 'private' })
    const plain = await brig.addClient(bob)
    const { body } = await get(`/users/${domain}/${bob}/clients`, version)
    expect(body).toHaveLength(2)
    expect(body).toEqual(expect.arrayContaining([{ id: phone, class: 'phone' }, { id: plain }]))
    const one = await get(`/users/${domain}/${bob}/clients/${phone}`, version)
    expect(one.body).toEqual({ id: phone, class: 'phone' })
    const many = await brig.call('POST', '/users/list-clients', {
      as: alice,
      version,
      body: { qualified_users: [id(bob), id(alice), id(newId(), 'other.example')] },
    })
    expect(many.body).toEqual({ qualified_user_map: { [domain]: { [bob]: body, [alice]: [] } } })
  })

  it('are none where there is no user, and one of them is not found', async () => {
    expect((await get(`/users/${domain}/${newId()}/clients`)).body).toEqual([])
    expect((await get(`/users/other.example/${bob}/clients`)).body).toEqual([])
    expect((await get(`/users/${domain}/${bob}/clients/abc`)).status).toBe(404)
    expect((await get(`/users/other.example/${bob}/clients/abc`)).status).toBe(404)
  })

  it('are asked for at most 500 users at once', async () => {
    const body = { qualified_users: Array.from({ length: 501 }, () => id(newId())) }
    const reply = await brig.call('POST', '/users/list-clients', { as: alice, body })
    expect(reply.status).toBe(400)
  })
})
