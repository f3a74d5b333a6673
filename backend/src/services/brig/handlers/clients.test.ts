import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newDeviceKeys, newPrekey, newPublicKey } from '../../../../../test/support/wire/prekeys.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import { clientIdFromLastKey } from '../rules/prekey.ts'
import { newClientBody, origin, startTestPeople, type TestPeople } from '../test-people.ts'

let brig: TestPeople
let alice: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser()
})
afterEach(() => brig[Symbol.asyncDispose]())

const post = (body: unknown, as = alice) => brig.call('POST', '/clients', { as, body })
const put = (client: ClientId, body: unknown) =>
  brig.call('PUT', `/clients/${client}`, { as: alice, body })
const remove = (client: ClientId, body: unknown = {}) =>
  brig.call('DELETE', `/clients/${client}`, { as: alice, body })
const clientOf = (input: unknown) => (input as { params: { client: string } }).params.client
const listIds = async (as = alice) => {
  const { body } = await brig.call('GET', '/clients', { as })
  return (body as { id: string }[]).map(({ id }) => id)
}

describe('registering a device', () => {
  it.each([8, 9, 10, 11, 12, 13, 14, 15])('answers in version %i', async (version) => {
    const body = newClientBody({
      class: 'desktop',
      label: 'work',
      model: 'Firefox',
      cookie: 'cookie-label',
      capabilities: ['legalhold-implicit-consent'],
      mls_public_keys: { ed25519: 'AAAA' },
    })
    const reply = await brig.call('POST', '/clients', { as: alice, body, version })
    expect(reply.status).toBe(201)
    const id = clientIdFromLastKey(body.lastkey.key)
    expect(reply.headers.get('location')).toBe(`/clients/${id}`)
    expect(reply.body).toEqual({
      id,
      type: 'permanent',
      time: '2026-01-01T00:00:00.000Z',
      class: 'desktop',
      label: 'work',
      model: 'Firefox',
      cookie: 'cookie-label',
      capabilities: ['legalhold-implicit-consent'],
      mls_public_keys: { ed25519: 'AAAA' },
    })
    const seen = await brig.call('GET', `/clients/${id}`, { as: alice, version })
    expect(seen.body).toEqual(reply.body)
    const all = await brig.call('GET', '/clients', { as: alice, version })
    expect(all.body).toEqual([reply.body])
  })

  it('opens the inbox, then tells galley, then the devices, before it answers', async () => {
    const client = await brig.addClient(alice, { capabilities: ['consumable-notifications'] })
    expect(brig.calls.map(({ name }) => name)).toEqual(['openClientInbox', 'addClient', 'publish'])
    const params = { user: alice, client }
    expect(brig.callsOf('openClientInbox')).toEqual([{ params, body: { isAcknowledging: true } }])
    expect(brig.callsOf('addClient')).toEqual([{ params }])
    expect(brig.pushed).toEqual([
      {
        recipients: [alice],
        event: {
          type: 'user.client-add',
          client: expect.objectContaining({
            id: client,
            capabilities: { capabilities: ['consumable-notifications'] },
          }),
        },
        origin: origin(alice),
      },
    ])
  })

  it('says by mail that there is a further device, and only then', async () => {
    const first = newClientBody()
    await post(first)
    await post(first)
    expect(brig.callsOf('mailNewDevice')).toEqual([])
    await post(newClientBody({ type: 'temporary', model: 'Chrome' }))
    expect(brig.callsOf('mailNewDevice')).toEqual([
      { user: alice, device: expect.objectContaining({ model: 'Chrome' }) },
    ])
  })

  it('replaces a device with the same last key in place', async () => {
    brig.passwords.set(alice, 'a password')
    const body = newClientBody({ label: 'old', model: 'm', mls_public_keys: { ed25519: 'AAAA' } })
    await post(body)
    await brig.clock.advance(1000)
    const further = { mls_public_keys: { ecdsa_secp256r1_sha256: 'BBBB' } }
    const again = await post({ ...body, model: undefined, label: 'new', ...further })
    expect(again.status).toBe(201)
    expect(again.body).toMatchObject({
      label: 'new',
      time: '2026-01-01T00:00:01.000Z',
      mls_public_keys: { ed25519: 'AAAA', ecdsa_secp256r1_sha256: 'BBBB' },
    })
    expect(again.body).not.toHaveProperty('model')
    expect(await listIds()).toHaveLength(1)
    const other = await post({ ...body, mls_public_keys: { ed25519: 'CCCC' } })
    expect(other.body).toMatchObject({ code: 400, label: 'mls-duplicate-public-key' })
  })

  it('asks for the password once there is a device, and tells a wrong one from none', async () => {
    brig.passwords.set(alice, 'a password')
    await brig.addClient(alice)
    const without = await post(newClientBody())
    expect(without.body).toMatchObject({ code: 403, label: 'missing-auth' })
    const wrong = await post(newClientBody({ password: 'another' }))
    expect(wrong.body).toEqual({
      code: 403,
      label: 'invalid-credentials',
      message: 'Authentication failed.',
    })
    expect((await post(newClientBody({ password: 'a password' }))).status).toBe(201)
    expect((await post(newClientBody({ type: 'temporary' }))).status).toBe(201)
  })

  it('takes seven permanent devices, however many come at once', async () => {
    const bodies = Array.from({ length: 12 }, () => newClientBody())
    const replies = await Promise.all(bodies.map((body) => post(body)))
    const refused = replies.filter(({ status }) => status !== 201)
    expect(refused).toHaveLength(5)
    for (const { body } of refused) {
      expect(body).toMatchObject({ code: 403, label: 'too-many-clients' })
    }
    const registered = await listIds()
    expect(registered).toHaveLength(7)
    const inboxes = new Set(brig.callsOf('openClientInbox').map(clientOf))
    for (const closed of brig.callsOf('closeClientInbox')) inboxes.delete(clientOf(closed))
    expect([...inboxes].toSorted()).toEqual(registered.toSorted())
    expect((await post(newClientBody({ type: 'temporary' }))).status).toBe(201)
    const known = bodies.find((_, index) => replies[index]?.status === 201)
    expect((await post(known)).status).toBe(201)
  })

  it('removes the temporary device before it takes another', async () => {
    const old = await brig.addClient(alice, { type: 'temporary', cookie: 'tmp' })
    brig.calls.length = 0
    const next = await brig.addClient(alice, { type: 'temporary' })
    expect(await listIds()).toEqual([next])
    expect(brig.callsOf('removeClient')).toEqual([{ params: { user: alice, client: old } }])
    expect(brig.callsOf('revokeCookies')).toEqual([{ user: alice, labels: ['tmp'] }])
    const types = brig.eventsOf(alice).map(({ type }) => type)
    expect(types).toEqual(['user.client-add', 'user.client-remove', 'user.client-add'])
  })

  it('is completed by trying again after a neighbour was away', async () => {
    for (const name of ['openClientInbox', 'addClient', 'publish']) {
      const body = newClientBody()
      const id = clientIdFromLastKey(body.lastkey.key)
      brig.failing.push(name)
      expect((await post(body)).status, name).toBe(503)
      brig.calls.length = 0
      expect((await post(body)).status, name).toBe(201)
      expect(brig.callsOf('addClient'), name).toEqual([{ params: { user: alice, client: id } }])
      expect(brig.callsOf('publish'), name).toHaveLength(1)
    }
    expect(await listIds()).toHaveLength(3)
  })

  it.each([
    ['a prekey that is no bundle', { prekeys: [{ id: 1, key: 'AAAA' }] }],
    ['a prekey under another id', { prekeys: [{ ...newPrekey(1, newPublicKey()), id: 2 }] }],
    ['a last key with another id', { lastkey: newPrekey(7, newPublicKey()) }],
    ['a last key that is no bundle', { lastkey: { id: 65_535, key: 'AAAA' } }],
    [
      'a prekey with an id that is too large',
      { prekeys: [newPrekey(65_535, newPublicKey()), { id: 65_536, key: '' }] },
    ],
    ['no prekeys', { prekeys: undefined }],
    ['a kind that only administrators add', { type: 'legalhold' }],
    ['a capability that nobody knows', { capabilities: ['flying'] }],
    ['a scheme that nobody knows', { mls_public_keys: { rot13: 'AAAA' } }],
    ['a key that is not base64', { mls_public_keys: { ed25519: '***' } }],
    ['a password that is too short', { password: 'short' }],
  ])('refuses %s', async (_, fields) => {
    const reply = await post(newClientBody(fields))
    expect(reply.body).toMatchObject({ code: 400, label: 'bad-request' })
    expect(await listIds()).toEqual([])
    expect(brig.calls).toEqual([])
  })
})

describe('changing a device', () => {
  it('adds what is new and keeps the rest', async () => {
    const client = await brig.addClient(alice, { label: 'a', model: 'm' })
    brig.calls.length = 0
    const identity = newPublicKey()
    const reply = await put(client, {
      label: 'b',
      capabilities: ['consumable-notifications'],
      mls_public_keys: { ed25519: 'AAAA' },
      prekeys: [newPrekey(77, identity)],
      lastkey: newPrekey(65_535, identity),
    })
    expect([reply.status, reply.text]).toEqual([200, ''])
    const { body } = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(body).toMatchObject({
      label: 'b',
      model: 'm',
      capabilities: ['consumable-notifications'],
      mls_public_keys: { ed25519: 'AAAA' },
    })
    expect(brig.calls.map(({ name }) => name)).toEqual(['openClientInbox'])
    const left = await brig.call('GET', `/clients/${client}/prekeys`, { as: alice })
    expect(left.body).toEqual([0, 1, 2, 77, 65_535])
    const capabilities = await brig.call('GET', `/clients/${client}/capabilities`, { as: alice })
    expect(capabilities.body).toEqual(['consumable-notifications'])
  })

  it('may be repeated, as clients do at every start', async () => {
    const client = await brig.addClient(alice)
    const body = {
      capabilities: ['consumable-notifications'],
      mls_public_keys: { ed25519: 'AAAA' },
    }
    expect((await put(client, body)).status).toBe(200)
    expect((await put(client, body)).status).toBe(200)
    expect((await put(client, {})).status).toBe(200)
    expect(brig.callsOf('openClientInbox')).toHaveLength(2)
  })

  it('never takes back a capability nor replaces an MLS key', async () => {
    const client = await brig.addClient(alice, {
      capabilities: ['consumable-notifications', 'legalhold-implicit-consent'],
      mls_public_keys: { ed25519: 'AAAA' },
    })
    const fewer = await put(client, { capabilities: ['legalhold-implicit-consent'], label: 'x' })
    expect(fewer.body).toMatchObject({ code: 409, label: 'client-feature-cannot-be-removed' })
    const other = await put(client, { mls_public_keys: { ed25519: 'BBBB' }, label: 'x' })
    expect(other.body).toMatchObject({ code: 400, label: 'mls-duplicate-public-key' })
    const malformed = await put(client, { prekeys: [{ id: 3, key: 'AAAA' }], label: 'x' })
    expect(malformed.body).toMatchObject({ code: 400, label: 'bad-request' })
    const { body } = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(body).not.toHaveProperty('label')
  })

  it('keeps what racing changes add', async () => {
    const client = await brig.addClient(alice)
    const replies = await Promise.all([
      put(client, { mls_public_keys: { ed25519: 'AAAA' } }),
      put(client, { mls_public_keys: { ecdsa_secp256r1_sha256: 'BBBB' } }),
      put(client, { label: 'x' }),
    ])
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
    const { body } = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(body).toMatchObject({
      label: 'x',
      mls_public_keys: { ed25519: 'AAAA', ecdsa_secp256r1_sha256: 'BBBB' },
    })
  })

  it('does not know devices of others', async () => {
    const client = await brig.addClient(await brig.addUser())
    for (const [method, path] of [
      ['PUT', ''],
      ['DELETE', ''],
      ['GET', '/capabilities'],
    ] as const) {
      const body = method === 'GET' ? undefined : {}
      const reply = await brig.call(method, `/clients/${client}${path}`, { as: alice, body })
      expect(reply.body, method).toMatchObject({ code: 404, label: 'client-not-found' })
    }
    const seen = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(seen.status).toBe(404)
    const prekeys = await brig.call('GET', `/clients/${client}/prekeys`, { as: alice })
    expect(prekeys.body).toEqual([])
  })

  it('knows a device by its id in any way of writing it', async () => {
    const client = await brig.addClient(alice)
    const path = `/clients/0${client.toUpperCase()}`.slice(0, 9 + 16)
    const reply = await brig.call(
      'GET',
      client.length < 16 ? path : `/clients/${client.toUpperCase()}`,
      {
        as: alice,
      },
    )
    expect(reply.body.id).toBe(client)
  })
})

describe('removing a device', () => {
  it('ends all that belongs to it, and the device last', async () => {
    const gone = await brig.addClient(alice, { cookie: 'its-cookie' })
    const stays = await brig.addClient(alice)
    brig.calls.length = 0
    expect((await remove(gone)).status).toBe(200)
    expect(brig.calls.map(({ name }) => name)).toEqual([
      'checkPassword',
      'removeClient',
      'revokeCookies',
      'publish',
      'closeClientInbox',
    ])
    expect(brig.callsOf('revokeCookies')).toEqual([{ user: alice, labels: ['its-cookie'] }])
    expect(brig.pushed.at(-1)).toEqual({
      recipients: [alice],
      event: { type: 'user.client-remove', client: { id: gone } },
      origin: origin(alice),
    })
    expect(await listIds()).toEqual([stays])
    const prekeys = await brig.call('GET', `/clients/${gone}/prekeys`, { as: alice })
    expect(prekeys.body).toEqual([])
    expect((await remove(gone)).body).toMatchObject({ code: 404, label: 'client-not-found' })
  })

  it('needs the password, except for a temporary device', async () => {
    const permanent = await brig.addClient(alice)
    const temporary = await brig.addClient(alice, { type: 'temporary' })
    brig.passwords.set(alice, 'a password')
    expect((await remove(permanent)).body).toMatchObject({ code: 403, label: 'missing-auth' })
    expect((await remove(permanent, { password: 'another' })).body).toMatchObject({
      label: 'invalid-credentials',
      message: 'Authentication failed.',
    })
    const bare = await brig.call('DELETE', `/clients/${temporary}`, { as: alice })
    expect(bare.status).toBe(200)
    expect((await remove(permanent, { password: 'a password' })).status).toBe(200)
    expect(await listIds()).toEqual([])
  })

  it('is completed by trying again after a neighbour was away', async () => {
    for (const name of ['removeClient', 'revokeCookies', 'publish', 'closeClientInbox']) {
      const client = await brig.addClient(alice, { cookie: name })
      brig.failing.push(name)
      expect((await remove(client)).status, name).toBe(503)
      expect(await listIds(), name).toEqual([client])
      brig.calls.length = 0
      expect((await remove(client)).status, name).toBe(200)
      expect(brig.callsOf('publish'), name).toHaveLength(1)
      expect(brig.callsOf('closeClientInbox'), name).toHaveLength(1)
      expect(await listIds(), name).toEqual([])
    }
  })

  it('makes room for another, and the roster counts on', async () => {
    for (let round = 0; round < 3; round += 1) {
      const clients = await Promise.all(Array.from({ length: 7 }, () => brig.addClient(alice)))
      expect((await post(newClientBody())).status).toBe(403)
      const replies = await Promise.all(clients.map((client) => remove(client)))
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
      expect(await listIds()).toEqual([])
    }
  })
})

describe('a nonce', () => {
  it('is new each time and not to be cached', async () => {
    const client = await brig.addClient(alice)
    const path = `/clients/${client}/nonce`
    const [head, get] = [
      await brig.call('HEAD', path, { as: alice }),
      await brig.call('GET', path, { as: alice }),
    ]
    expect([head.status, get.status]).toEqual([200, 204])
    const nonces = [head, get].map(({ headers }) => headers.get('replay-nonce'))
    expect(new Set(nonces).size).toBe(2)
    for (const nonce of nonces) expect(nonce).toMatch(/^[\w-]{22}$/)
    expect(get.headers.get('cache-control')).toBe('no-store')
  })
})

describe('activity', () => {
  it('is shown in seconds once the device was active', async () => {
    const client = await brig.addClient(alice)
    const { body } = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(body).not.toHaveProperty('last_active')
    const atMs = Date.UTC(2026, 1, 3, 4, 5, 6, 789)
    await brig.call('POST', '/i/users/client/active', {
      as: alice,
      body: { user: alice, client, atMs },
    })
    for (const path of ['/clients', `/clients/${client}`]) {
      const reply = await brig.call('GET', path, { as: alice })
      const [seen] = [reply.body].flat()
      expect(seen.last_active).toBe('2026-02-03T04:05:06Z')
    }
  })

  it('of a device that is gone is not noted', async () => {
    const body = newClientBody()
    const client = clientIdFromLastKey(body.lastkey.key)
    const touch = { user: alice, client, atMs: 1 }
    await brig.call('POST', '/i/users/client/active', { as: alice, body: touch })
    await post(body)
    const reply = await brig.call('GET', `/clients/${client}`, { as: alice })
    expect(reply.body).not.toHaveProperty('last_active')
  })
})

it('has no devices for those who are gone', async () => {
  const gone = await brig.addUser({ status: 'deleted' })
  expect((await post(newClientBody(), gone)).status).toBe(404)
})

it('takes the keys of a device in any number', async () => {
  const { prekeys, lastkey } = newDeviceKeys(250)
  const reply = await post({ type: 'permanent', prekeys, lastkey })
  expect(reply.status).toBe(201)
  const left = await brig.call('GET', `/clients/${reply.body.id as string}/prekeys`, { as: alice })
  expect(left.body).toHaveLength(251)
})
