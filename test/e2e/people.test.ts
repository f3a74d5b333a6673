import { randomUUID } from 'node:crypto'

import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { profilePath, refused } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface Hits {
  readonly documents: readonly { qualified_id: QualifiedId; name: string; handle?: string }[]
  readonly found: number
}

const search = async ({ client }: Somebody, q: string, query: object = {}): Promise<Hits> =>
  (await client.request<Hits>('GET', '/search/contacts', { query: { q, ...query }, expect: 200 }))
    .json
const setHandle = ({ client }: Somebody, handle: string) =>
  client.request('PUT', '/self/handle', { json: { handle } })
const setProperty = ({ client }: Somebody, key: string, body: string) =>
  client.request('PUT', `/properties/${encodeURIComponent(key)}`, {
    body,
    contentType: 'application/json',
  })
const readProperty = ({ client }: Somebody, key: string) =>
  client.request('GET', `/properties/${encodeURIComponent(key)}`)

const shown = { timeout: 10_000 }

inBothShapes(({ person }) => {
  it('finds people by their handle, and by the beginning of their name', async () => {
    const word = `zenobia${randomUUID().slice(0, 8)}`
    const alice = await person('alice')
    const bob = await person('bob')
    const name = `${word} Müller`
    await bob.client.request('PUT', '/self', { json: { name }, expect: 200 })

    const hit = { qualified_id: bob.user, name, handle: bob.handle }
    expect((await search(alice, bob.handle)).documents[0]).toMatchObject(hit)
    expect((await search(alice, `@${bob.handle}`)).documents[0]).toMatchObject(hit)
    for (const q of [word, word.slice(0, -3), word.toUpperCase(), `${word} muller`]) {
      // An index may show a change a moment later.
      await expect.poll(() => search(alice, q), shown).toMatchObject({ documents: [hit], found: 1 })
    }
    expect((await search(bob, word)).documents).toEqual([])
    expect((await search(alice, word, { domain: 'elsewhere.example' })).documents).toEqual([])
  })

  it('finds at most as many as were asked for', async () => {
    const word = `quentin${randomUUID().slice(0, 8)}`
    const alice = await person('alice')
    const others = await Promise.all(['b', 'c', 'd'].map((name) => person(name)))
    for (const { client } of others) {
      await client.request('PUT', '/self', { json: { name: word }, expect: 200 })
    }
    await expect.poll(async () => (await search(alice, word)).documents, shown).toHaveLength(3)
    // Another copy of the index may show the changes later than the first.
    const few = () => search(alice, word, { size: 2 })
    await expect.poll(few, shown).toMatchObject({ found: 3 })
    expect((await few()).documents).toHaveLength(2)
  })

  it('no longer finds a user who is gone', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const json = { password: bob.password }
    await bob.client.request('DELETE', '/self', { json, expect: 200 })
    expect((await search(alice, bob.handle)).documents).toEqual([])
  })

  it('gives a handle to one user only, and back when it is changed', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    expect(await setHandle(bob, alice.handle)).toMatchObject(refused(409, 'handle-exists'))
    expect((await setHandle(alice, alice.handle)).status).toBe(200)
    const wanted = `new_${alice.handle}`
    expect((await setHandle(alice, wanted)).status).toBe(200)
    expect((await setHandle(bob, alice.handle)).status).toBe(200)
    expect((await bob.client.request('GET', profilePath(alice))).json).toMatchObject({
      handle: wanted,
    })
  })

  it('lets one of two win who claim the same handle at once', async () => {
    const claimants = await Promise.all(['alice', 'bob', 'carol'].map((name) => person(name)))
    const handle = `wanted_${randomUUID().slice(0, 8)}`
    const replies = await Promise.all(claimants.map((claimant) => setHandle(claimant, handle)))
    const outcomes = Object.groupBy(replies, ({ status }) => status)
    expect([outcomes[200]?.length, outcomes[409]?.length]).toEqual([1, 2])
  })

  it('says which handles are free, taken, reserved or none', async () => {
    const alice = await person('alice')
    const free = `free_${randomUUID().slice(0, 8)}`
    const check = async (handle: string) =>
      (await alice.client.request('HEAD', `/handles/${encodeURIComponent(handle)}`)).status
    expect(await check(alice.handle)).toBe(200)
    expect(await check('admin')).toBe(200)
    expect(await check(free)).toBe(404)
    expect(await check('No Handle')).toBe(400)
    const json = { handles: [alice.handle, free, 'x', `other_${free}`], return: 1 }
    expect((await alice.client.request('POST', '/handles', { json })).json).toEqual([free])
    for (const handle of ['x', 'Alice!', 'a'.repeat(257)]) {
      expect(await setHandle(alice, handle)).toMatchObject(refused(400, 'invalid-handle'))
    }
  })

  it('shows profiles by id and by handle', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const list = (json: object) => alice.client.request('POST', '/list-users', { json })
    const profile = {
      qualified_id: bob.user,
      name: 'bob',
      handle: bob.handle,
      assets: [],
      legalhold_status: 'no_consent',
      supported_protocols: ['proteus'],
      type: 'regular',
    }
    const unknown = { ...bob.user, id: randomUUID() }
    const elsewhere = { domain: 'elsewhere.example', id: randomUUID() }
    expect(await list({ qualified_ids: [bob.user, unknown, elsewhere] })).toMatchObject({
      status: 200,
      json: { found: [profile], failed: [elsewhere] },
    })
    const handles = [{ domain: bob.user.domain, handle: bob.handle }]
    expect(await list({ qualified_handles: handles })).toMatchObject({ json: { found: [profile] } })
    const one = await alice.client.request('GET', profilePath(bob))
    expect(one.json).toMatchObject(profile)
    expect(one.json).not.toHaveProperty('email')
    expect((await alice.client.request('GET', profilePath({ user: unknown }))).status).toBe(404)
    expect((await alice.client.request('GET', `/users/${bob.user.id}/rich-info`)).status).toBe(403)
  })

  it('keeps properties word for word, for all devices of a user', async () => {
    const alice = await person('alice')
    const phone = await alice.takesAnotherDevice()
    const text = '{"b": 1.0,  "a": [null, "Grüße"], "n": 12345678901234567890}'
    expect((await setProperty(alice, 'labels', text)).status).toBe(200)
    const { event } = await phone.sees('user.properties-set')
    expect(event).toMatchObject({ key: 'labels', value: { b: 1, a: [null, 'Grüße'] } })
    expect((await readProperty(phone, 'labels')).text).toBe(text)

    await setProperty(alice, 'WIRE_RECEIPT_MODE', '1')
    const all = await phone.client.request('GET', '/properties-values', { expect: 200 })
    expect(all.json).toEqual({ labels: JSON.parse(text) as unknown, WIRE_RECEIPT_MODE: 1 })
    const keys = await phone.client.request<string[]>('GET', '/properties', { expect: 200 })
    expect(keys.json.toSorted()).toEqual(['WIRE_RECEIPT_MODE', 'labels'])

    await alice.client.request('DELETE', '/properties/labels', { expect: 200 })
    expect((await phone.sees('user.properties-delete')).event).toMatchObject({ key: 'labels' })
    expect((await readProperty(alice, 'labels')).status).toBe(404)
    await alice.client.request('DELETE', '/properties', { expect: 200 })
    await phone.sees('user.properties-clear')
    expect((await phone.client.request('GET', '/properties-values')).text).toBe('{}')
  })

  it('keeps only so many properties, and none that is too large', async () => {
    const alice = await person('alice')
    for (let count = 0; count < 16; count += 1) {
      expect((await setProperty(alice, `key${String(count)}`, 'true')).status).toBe(200)
    }
    expect(await setProperty(alice, 'one more', 'true')).toMatchObject(
      refused(403, 'too-many-properties'),
    )
    expect((await setProperty(alice, 'key3', 'false')).status).toBe(200)
    expect(await setProperty(alice, 'k'.repeat(1025), 'true')).toMatchObject(
      refused(403, 'property-key-too-large'),
    )
    const large = JSON.stringify('x'.repeat(512 * 1024))
    expect(await setProperty(alice, 'key3', large)).toMatchObject(
      refused(403, 'property-value-too-large'),
    )
    expect((await setProperty(alice, 'key3', '{no json')).status).toBe(400)
    expect((await setProperty(alice, 'kéy', 'true')).status).toBe(400)
    expect((await readProperty(alice, 'key3')).json).toBe(false)
  })
})
