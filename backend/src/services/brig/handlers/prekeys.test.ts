import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { domain, newId, startTestPeople, type TestPeople } from '../test-people.ts'

const lastPrekeyId = 65_535

let brig: TestPeople
let alice: UserId
let bob: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser()
  bob = await brig.addUser()
})
afterEach(() => brig[Symbol.asyncDispose]())

const get = (path: string, version = 15) =>
  brig.call('GET', `/users/${domain}/${bob}/${path}`, { as: alice, version })
const list = (body: unknown, version = 15) =>
  brig.call('POST', '/users/list-prekeys', { as: alice, body, version })
const left = async (client: string) => {
  const { body } = await brig.call('GET', `/clients/${client}/prekeys`, { as: bob })
  return body as number[]
}

describe('a prekey', () => {
  it('is given to one caller only; the last resort to all who come later', async () => {
    const client = await brig.addClient(bob)
    const ids: number[] = []
    for (let turn = 0; turn < 5; turn += 1) {
      const { body } = await get(`prekeys/${client}`)
      expect(body.client).toBe(client)
      ids.push(body.prekey.id as number)
    }
    expect(new Set(ids.slice(0, 3))).toEqual(new Set([0, 1, 2]))
    expect(ids.slice(3)).toEqual([lastPrekeyId, lastPrekeyId])
    expect(await left(client)).toEqual([lastPrekeyId])
  })

  it('is given once when many ask at the same moment', async () => {
    const client = await brig.addClient(bob)
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(`prekeys/${client}`)))
    const ids = replies.map(({ body }) => body.prekey.id as number)
    const single = ids.filter((id) => id !== lastPrekeyId)
    expect(single).toHaveLength(3)
    expect(new Set(single)).toEqual(new Set([0, 1, 2]))
    expect(ids.filter((id) => id === lastPrekeyId)).toHaveLength(17)
  })

  it('is the one that was uploaded under its number', async () => {
    const client = await brig.addClient(bob)
    const { body } = await get(`prekeys/${client}`)
    const again = await brig.call('PUT', `/clients/${client}`, {
      as: bob,
      body: { prekeys: [body.prekey] },
    })
    expect(again.status).toBe(200)
    expect(await left(client)).toEqual([0, 1, 2, lastPrekeyId])
  })

  it.each(['prekeys/abc', 'prekeys/0123456789abcdef'])(
    'of no device is not found: %s',
    async (path) => {
      expect((await get(path)).status).toBe(404)
    },
  )
})

describe('prekeys of all devices of a user', () => {
  it.each([8, 15])('come one for each, in version %i', async (version) => {
    const clients = [await brig.addClient(bob), await brig.addClient(bob)]
    const { body } = await get('prekeys', version)
    expect(body.user).toBe(bob)
    const named = (body.clients as { client: string }[]).map(({ client }) => client)
    expect(named.toSorted()).toEqual(clients.toSorted())
  })

  it('are none for users without devices, and not found for another backend', async () => {
    expect((await get('prekeys')).body).toEqual({ user: bob, clients: [] })
    const reply = await brig.call('GET', `/users/other.example/${bob}/prekeys`, { as: alice })
    expect(reply.status).toBe(404)
    const client = await brig.addClient(bob)
    const one = `/users/other.example/${bob}/prekeys/${client}`
    expect((await brig.call('GET', one, { as: alice })).status).toBe(404)
  })
})

describe('prekeys of many', () => {
  it.each([8, 11, 15])('tell devices that do not exist by null, in version %i', async (version) => {
    const client = await brig.addClient(bob)
    const nobody = newId()
    const body = { [domain]: { [bob]: [client, client, 'abc'], [nobody]: ['def'], [alice]: [] } }
    const reply = await list(body, version)
    expect(reply.body).toEqual({
      qualified_user_client_prekeys: {
        [domain]: {
          [bob]: { [client]: { id: expect.any(Number), key: expect.any(String) }, abc: null },
          [nobody]: { def: null },
          [alice]: {},
        },
      },
    })
    expect(await left(client)).toHaveLength(3)
  })

  it('name users of other backends as failed', async () => {
    const id = newId()
    const reply = await list({ 'other.example': { [id]: ['abc'] } })
    expect(reply.body).toEqual({
      qualified_user_client_prekeys: { [domain]: {} },
      failed_to_list: [{ domain: 'other.example', id }],
    })
  })

  it('are limited to the members of a conversation', async () => {
    const users = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, () => [newId(), ['abc']]))
    expect((await list({ [domain]: users(500) })).status).toBe(200)
    const tooMany = await list({ [domain]: users(400), 'other.example': users(101) })
    expect(tooMany.body).toMatchObject({ code: 403, label: 'too-many-clients' })
  })

  it.each([
    ['no object', []],
    ['a domain that is none', { x: {} }],
    ['a user id that is none', { [domain]: { bob: [] } }],
    ['a device id that is none', { [domain]: { [newId()]: ['xyz'] } }],
    ['a name of the language itself', { [domain]: { constructor: ['a'] } }],
  ])('are refused for %s', async (_, body) => {
    expect((await list(body)).body).toMatchObject({ code: 400, label: 'bad-request' })
  })
})
