import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { newDeviceKeys, newPrekey, newPublicKey } from '../support/wire/prekeys.ts'
import type { RawClient } from '../support/wire/raw.ts'
import { profilePath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface Device {
  readonly id: string
  readonly label?: string
  readonly capabilities: readonly string[]
}

const devicesOf = async ({ client }: Somebody): Promise<Device[]> =>
  (await client.request<Device[]>('GET', '/clients', { expect: 200 })).json

const register = (client: RawClient, device: object = {}) =>
  client.request<Device>('POST', '/clients', {
    json: { type: 'permanent', ...newDeviceKeys(2), ...device },
  })

const change = ({ client, device }: Somebody, json: object) =>
  client.request('PUT', `/clients/${device}`, { json })

const prekeysLeft = async ({ client, device }: Somebody): Promise<number[]> => {
  const reply = await client.request<number[]>('GET', `/clients/${device}/prekeys`, { expect: 200 })
  return reply.json.toSorted((left, right) => left - right)
}

inBothShapes(({ person, mailbox }) => {
  it('shows a new device to the others before it is answered', async () => {
    const alice = await person('alice')
    const phone = await alice.takesAnotherDevice()
    const { event } = await alice.sees(({ type, ...event }) => {
      const { id } = (event['client'] ?? {}) as Partial<Device>
      return type === 'user.client-add' && id === phone.device
    })
    expect(event['client']).toMatchObject({ capabilities: { capabilities: [] } })
    const query = { client: phone.device }
    const last = await phone.client.request('GET', '/notifications/last', { query })
    expect(last).toMatchObject({ status: 200, json: { payload: [{ type: 'user.client-add' }] } })
    expect((await devicesOf(alice)).map(({ id }) => id).toSorted()).toEqual(
      [alice.device, phone.device].toSorted(),
    )
    await mailbox().waitForMail(alice.email, ({ headers }) =>
      Object.values(headers).includes('NewDevice'),
    )
  })

  it('delivers what a user sends to their other devices, and what others send to all', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const phone = await alice.takesAnotherDevice()
    await alice.sends(room, 'from my desk')
    for (const listener of [bob, phone]) await listener.receives('from my desk', { from: alice })
    await bob.sends(room, 'got it')
    for (const listener of [alice, phone]) await listener.receives('got it', { from: bob })
    expect(alice.texts()).toEqual(['got it'])
  })

  it('tells only the own devices that a conversation was muted and archived', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const phone = await alice.takesAnotherDevice()
    const json = { otr_muted_status: 3, otr_muted_ref: 'now', otr_archived: true }
    await alice.client.request('PUT', `${roomPath(room)}/self`, { json, expect: 200 })
    const { event } = await phone.sees('conversation.member-update')
    expect(event.data).toMatchObject({ qualified_target: alice.user, ...json })
    const self = await phone.client.request('GET', `${roomPath(room)}/self`, { expect: 200 })
    expect(self.json).toMatchObject({ ...json, hidden: false })

    await alice.sends(room, 'after')
    await bob.receives('after')
    expect(bob.heard().map(({ type }) => type)).not.toContain('conversation.member-update')
  })

  it('gives each one-time key away once, and the last resort for ever', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    expect(await prekeysLeft(alice)).toEqual([0, 1, 2, 3, 4, 65_535])
    const path = `${profilePath(alice)}/prekeys`
    const taken: number[] = []
    for (let takes = 0; takes < 7; takes += 1) {
      const { json } = await bob.client.request<{ client: string; prekey: { id: number } }>(
        'GET',
        `${path}/${alice.device}`,
        { expect: 200 },
      )
      taken.push(json.prekey.id)
    }
    expect(new Set(taken.slice(0, 5)).size).toBe(5)
    expect(taken.slice(5)).toEqual([65_535, 65_535])
    expect(await prekeysLeft(alice)).toEqual([65_535])

    await change(alice, { prekeys: [newPrekey(7, newPublicKey())] })
    expect(await prekeysLeft(alice)).toEqual([7, 65_535])
    expect((await bob.client.request('GET', path)).json).toMatchObject({
      user: alice.user.id,
      clients: [{ client: alice.device, prekey: { id: 7 } }],
    })
    const { domain, id } = alice.user
    const wanted = { [domain]: { [id]: [alice.device, 'deadbeef'] } }
    expect(await bob.client.request('POST', '/users/list-prekeys', { json: wanted })).toMatchObject(
      {
        status: 200,
        json: {
          qualified_user_client_prekeys: {
            [domain]: { [id]: { [alice.device]: { id: 65_535 }, deadbeef: null } },
          },
        },
      },
    )
  })

  it('shows the devices of others, without what is private', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const { domain, id } = alice.user
    const shown = { id: alice.device }
    const list = await bob.client.request('GET', `${profilePath(alice)}/clients`)
    expect(list.json).toEqual([shown])
    const one = await bob.client.request('GET', `${profilePath(alice)}/clients/${alice.device}`)
    expect(one.json).toEqual(shown)
    expect(await bob.client.devicesOf([alice.user, bob.user])).toEqual({
      [domain]: { [id]: [alice.device], [bob.user.id]: [bob.device] },
    })
    const none = await bob.client.request('GET', `${profilePath(alice)}/clients/deadbeef`)
    expect(none.status).toBe(404)
  })

  it('changes what it is called and what it can do, but unlearns nothing', async () => {
    const alice = await person('alice')
    const capability = 'legalhold-implicit-consent'
    expect((await change(alice, { label: 'Desk', capabilities: [capability] })).status).toBe(200)
    expect((await change(alice, { capabilities: [capability] })).status).toBe(200)
    expect(await change(alice, { capabilities: [] })).toMatchObject(
      refused(409, 'client-feature-cannot-be-removed'),
    )
    const path = `/clients/${alice.device}`
    expect((await alice.client.request('GET', path)).json).toMatchObject({
      label: 'Desk',
      capabilities: [capability],
    })
    expect((await alice.client.request('GET', `${path}/capabilities`)).json).toEqual([capability])
  })

  it('keeps the MLS keys that it was given first', async () => {
    const alice = await person('alice')
    const key = Buffer.from(newPublicKey()).toString('base64')
    const other = Buffer.from(newPublicKey()).toString('base64')
    for (const [ed25519, status] of [
      [key, 200],
      [key, 200],
      [other, 400],
    ] as const) {
      expect((await change(alice, { mls_public_keys: { ed25519 } })).status).toBe(status)
    }
    const { json } = await alice.client.request('GET', `/clients/${alice.device}`)
    expect(json).toMatchObject({ mls_public_keys: { ed25519: key } })
  })

  it('needs the password from the second device on, and refuses the eighth', async () => {
    const alice = await person('alice')
    const { client, password } = alice
    expect(await register(client)).toMatchObject(refused(403, 'missing-auth'))
    expect(await register(client, { password: 'not this one' })).toMatchObject({
      status: 403,
      json: { label: 'invalid-credentials', message: 'Authentication failed.' },
    })
    for (let count = 1; count < 7; count += 1) {
      const reply = await register(client, { password })
      expect(reply.status).toBe(201)
      expect(reply.headers.get('location')).toContain(reply.json.id)
    }
    expect(await register(client, { password })).toMatchObject(refused(403, 'too-many-clients'))
    const temporary = { type: 'temporary', password }
    const first = await register(client, temporary)
    const second = await register(client, temporary)
    const ids = (await devicesOf(alice)).map(({ id }) => id)
    expect(ids).toHaveLength(8)
    expect(ids).toContain(second.json.id)
    expect(ids).not.toContain(first.json.id)
  })

  it('stays the same device when it is registered again with the same last key', async () => {
    const alice = await person('alice')
    const { client, password } = alice
    const keys = newDeviceKeys(2)
    const first = await register(client, { password, ...keys })
    const again = await register(client, { password, ...keys, label: 'again' })
    expect(again).toMatchObject({ status: 201, json: { id: first.json.id, label: 'again' } })
    expect(await devicesOf(alice)).toHaveLength(2)
  })

  it('refuses keys that are none', async () => {
    const alice = await person('alice')
    const { client, password } = alice
    const { prekeys, lastkey } = newDeviceKeys(2)
    const [first, second] = prekeys
    for (const wrong of [
      { prekeys: [{ id: 0, key: 'bm8ga2V5' }] },
      { prekeys: [{ id: 5, key: first?.key }] },
      { prekeys: [second], lastkey: { ...lastkey, id: 1 } },
    ]) {
      expect(await register(client, { password, lastkey, ...wrong })).toMatchObject(
        refused(400, 'bad-request'),
      )
    }
  })

  it('takes everything along when it is removed', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await bob.connectsWith(alice)
    const phone = await alice.takesAnotherDevice()
    const laptop = await alice.takesAnotherDevice()
    await bob.sends(room, 'to all')
    for (const listener of [alice, phone, laptop]) await listener.receives('to all')

    const remove = (json: object) =>
      alice.client.request('DELETE', `/clients/${phone.device}`, { json })
    expect(await remove({})).toMatchObject(refused(403, 'missing-auth'))
    expect((await remove({ password: alice.password })).status).toBe(200)
    const { event } = await laptop.sees('user.client-remove')
    expect(event).toEqual({ type: 'user.client-remove', client: { id: phone.device } })
    expect(await remove({ password: alice.password })).toMatchObject(
      refused(404, 'client-not-found'),
    )
    const { domain, id } = alice.user
    const { json } = await bob.client.sendOtr(room.id, {
      recipients: { [domain]: { [id]: { [phone.device]: Buffer.from('late') } } },
      strategy: 'ignore-all',
    })
    expect(json).toMatchObject({ deleted: { [domain]: { [id]: [phone.device] } } })
  })

  it('hands out nonces', async () => {
    const alice = await person('alice')
    const path = `/clients/${alice.device}/nonce`
    const head = await alice.client.request('HEAD', path, { expect: 200 })
    const get = await alice.client.request('GET', path, { expect: 204 })
    const nonces = [head, get].map(({ headers }) => headers.get('replay-nonce'))
    expect(new Set(nonces).size).toBe(2)
    expect(nonces).not.toContain(null)
  })
})
