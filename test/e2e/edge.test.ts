import { gzipSync } from 'node:zlib'

import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { encodeOtrMessage, sameForAll } from '../support/wire/otr-message.ts'
import { memberPath, profilePath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

inBothShapes(({ person, stranger }) => {
  async function friends() {
    const [alice, bob] = await Promise.all([person('alice'), person('bob')])
    return { alice, bob, room: await alice.creates('Lunch', [bob]) }
  }

  it('reads compressed bodies of every kind', async () => {
    const { alice, bob, room } = await friends()
    const { client } = alice
    const zipped = (json: unknown) => ({ json, gzip: true, expect: 200 })
    await client.request('PUT', `${roomPath(room)}/name`, zipped({ name: 'Dinner 🍝' }))
    expect((await bob.sees('conversation.rename')).event.data).toEqual({ name: 'Dinner 🍝' })
    await client.request('PUT', '/properties/labels', zipped({ folders: ['ä', 'ö'] }))
    expect((await client.request('GET', '/properties/labels')).json).toEqual({
      folders: ['ä', 'ö'],
    })
    const ids = zipped({ qualified_ids: [room.id] })
    expect(await client.request('POST', '/conversations/list', ids)).toMatchObject({
      json: { found: [{ name: 'Dinner 🍝' }] },
    })
    const { domain, id } = bob.user
    const recipients = sameForAll({ [domain]: { [id]: [bob.device] } }, 'compressed')
    await client.request('POST', `${roomPath(room)}/proteus/messages`, {
      body: encodeOtrMessage({ sender: alice.device, recipients }),
      contentType: 'application/x-protobuf',
      gzip: true,
      expect: 201,
    })
    await bob.receives('compressed')
    const login = { json: { email: alice.email, password: alice.password }, gzip: true }
    expect((await stranger().request('POST', '/login', login)).status).toBe(200)
  })

  it('refuses what only claims to be compressed', async () => {
    const alice = await person('alice')
    const put = (body: Uint8Array, encoding: string) =>
      alice.client.request('PUT', '/self', {
        body,
        contentType: 'application/json',
        headers: { 'content-encoding': encoding },
      })
    const whole = gzipSync(JSON.stringify({ name: 'Alice II' }))
    expect(await put(Buffer.from('{"name":"Alice II"}'), 'gzip')).toMatchObject(
      refused(400, 'bad-request'),
    )
    expect(await put(whole.subarray(0, -8), 'gzip')).toMatchObject(refused(400, 'bad-request'))
    expect((await put(whole, 'compress')).status).toBe(415)
    expect((await put(whole, 'gzip')).status).toBe(200)
  })

  it('answers HEAD wherever it answers GET, without the body', async () => {
    const { alice, bob, room } = await friends()
    for (const path of ['/self', profilePath(bob), roomPath(room), '/notifications']) {
      const get = await alice.client.request('GET', path, { expect: 200 })
      const head = await alice.client.request('HEAD', path, { expect: 200 })
      expect(head.text).toBe('')
      for (const name of ['content-type', 'content-length']) {
        expect(head.headers.get(name)).toBe(get.headers.get(name))
      }
    }
    expect((await alice.client.request('HEAD', '/self', { token: null })).status).toBe(401)
    const nobody = { user: { ...bob.user, id: crypto.randomUUID() } }
    expect((await alice.client.request('HEAD', profilePath(nobody))).status).toBe(404)
  })

  it('gives each request an id of its own', async () => {
    const alice = await person('alice')
    const first = await alice.client.request('GET', '/self')
    const second = await alice.client.request('GET', '/nowhere')
    const ids = [first, second].map(({ headers }) => headers.get('request-id'))
    expect(ids).not.toContain(null)
    expect(new Set(ids).size).toBe(2)
    expect(second).toMatchObject(refused(404, 'not-found'))
  })

  it('answers 401 only where another access token helps', async () => {
    const { alice, bob, room } = await friends()
    const { client } = alice
    for (const token of [null, 'nonsense', client.token?.replace(/^./, 'x') ?? '']) {
      expect((await client.request('GET', '/self', { token })).status).toBe(401)
    }
    const stolen = client.jar.get('zuid')?.value ?? ''
    expect(await client.request('GET', '/self', { token: stolen })).toMatchObject({ status: 403 })
    const attempts: readonly [string, string, object?][] = [
      ['DELETE', '/self', { password: 'not this one' }],
      ['POST', '/cookies/remove', { password: 'not this one' }],
      ['DELETE', `/clients/${alice.device}`, { password: 'not this one' }],
      ['GET', `/clients/deadbeef`],
      ['DELETE', memberPath(room, bob), { password: 'nobody asked' }],
      ['POST', '/access/logout'],
    ]
    for (const [method, path, json] of attempts) {
      const reply = await client.request(method, path, json ? { json } : {})
      expect(reply.status, `${method} ${path}`).not.toBe(401)
    }
  })

  it('says what stands in the way of a group', async () => {
    const { alice, bob, room } = await friends()
    const create = (json: object) => alice.client.request('POST', '/conversations', { json })
    const someIds = (count: number) =>
      Array.from({ length: count }, () => ({ ...bob.user, id: crypto.randomUUID() }))
    expect(await create({ protocol: 'mls' })).toMatchObject(refused(400, 'mls-not-enabled'))
    expect(await create({ qualified_users: someIds(500) })).toMatchObject({ status: 400 })
    expect(await create({ qualified_users: someIds(1) })).toMatchObject(
      refused(403, 'not-connected'),
    )
    expect(await create({ team: { teamid: crypto.randomUUID(), managed: false } })).toMatchObject(
      refused(403, 'no-team-member'),
    )
    expect(await create({ history: { depth: 'infinite' } })).toMatchObject(
      refused(400, 'history-not-supported'),
    )
    const add = (qualified_users: unknown) =>
      alice.client.request('POST', `${roomPath(room)}/members`, { json: { qualified_users } })
    expect(await add(someIds(499))).toMatchObject(refused(403, 'too-many-members'))

    const access = { access: ['invite'], access_role: ['guest'] }
    await alice.client.request('PUT', `${roomPath(room)}/access`, { json: access, expect: 200 })
    const carol = await person('carol')
    await alice.connectsWith(carol)
    expect(await add([carol.user])).toMatchObject(refused(403, 'no-team-member'))
  })

  it('refuses what it cannot read, and says where', async () => {
    const { client }: Somebody = await person('alice')
    const bad = refused(400, 'bad-request')
    const json = 'application/json'
    expect(await client.request('PUT', '/self', { body: '{', contentType: json })).toMatchObject(
      bad,
    )
    const wrongName = { json: { name: 7 } }
    const reply = await client.request<{ message: string }>('PUT', '/self', wrongName)
    expect(reply).toMatchObject(bad)
    expect(reply.json.message).toContain('name')
    const xml = { body: '<name/>', contentType: 'application/xml' }
    expect((await client.request('PUT', '/self', xml)).status).toBe(415)
    const large = { json: { name: 'x', text_status: 'y'.repeat(600 * 1024) } }
    expect((await client.request('PUT', '/self', large)).status).toBe(413)
    expect((await client.request('PATCH', '/self', { json: {} })).status).toBe(405)
  })
})
