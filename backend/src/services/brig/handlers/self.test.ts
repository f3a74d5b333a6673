import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { startTestBrig } from '../test-brig.ts'
import type { TestAccount, TestBrig } from '../test-brig.ts'

let brig: TestBrig
beforeAll(async () => {
  brig = await startTestBrig()
})
afterAll(() => brig[Symbol.asyncDispose]())

async function connect(alice: TestAccount, bob: TestAccount): Promise<void> {
  const path = ({ id }: TestAccount) => `/connections/tricord.internal/${id}`
  const asked = await brig.call('POST', path(bob), { as: alice.id })
  expect(asked.status).toBe(201)
  const body = { status: 'accepted' }
  expect((await brig.call('PUT', path(alice), { as: bob.id, body })).status).toBe(200)
}

describe('the caller', () => {
  it.each([8, 11, 12, 14, 15])('is shown in the shape of version %i', async (version) => {
    const alice = await brig.register()
    const reply = await brig.call('GET', '/self', { as: alice.id, version })
    expect(reply.body).toMatchObject({ id: alice.id, email: alice.email, assets: [], locale: 'en' })
    expect('type' in reply.body).toBe(version >= 15)
    expect('searchable' in reply.body).toBe(version >= 12)
  })

  it('changes what is named and keeps the rest', async () => {
    const alice = await brig.register()
    const change = (body: object) => brig.call('PUT', '/self', { as: alice.id, body })
    const asset = {
      key: '3-1-5c1a1f2e-4b1d-4a58-8a0d-000000000001',
      type: 'image',
      size: 'complete',
    }
    expect((await change({ name: 'Alice II', accent_id: 5 })).status).toBe(200)
    expect((await change({ assets: [asset], text_status: 'away' })).status).toBe(200)
    const { body } = await brig.call('GET', '/self', { as: alice.id })
    expect(body).toMatchObject({
      name: 'Alice II',
      accent_id: 5,
      assets: [asset],
      text_status: 'away',
    })
    expect(brig.documents.get(alice.id)?.name).toBe('Alice II')
  })

  it('tells own devices and contacts of a change, but not the connection that made it', async () => {
    const [alice, bob, carol] = await Promise.all([
      brig.register(),
      brig.register(),
      brig.register(),
    ])
    await connect(alice, bob)
    const body = { name: 'Renamed' }
    await brig.call('PUT', '/self', { as: alice.id, connection: '77', body })
    const update = {
      type: 'user.update',
      user: { id: alice.id, name: 'Renamed', sso_id_deleted: false },
    }
    expect(brig.eventsOf(alice.id).at(-1)).toEqual(update)
    expect(brig.eventsOf(bob.id).at(-1)).toEqual(update)
    expect(brig.eventsOf(carol.id)).toEqual([])
    expect(brig.pushes.at(-1)?.origin).toEqual({ user: alice.id, connection: '77' })
  })

  it('says nothing when nothing was asked for', async () => {
    const alice = await brig.register()
    expect((await brig.call('PUT', '/self', { as: alice.id, body: {} })).status).toBe(200)
    expect(brig.eventsOf(alice.id)).toEqual([])
  })

  it('keeps the language to itself', async () => {
    const [alice, bob] = [await brig.register(), await brig.register()]
    await connect(alice, bob)
    const before = brig.eventsOf(bob.id).length
    const body = { locale: 'pt_br' }
    expect((await brig.call('PUT', '/self/locale', { as: alice.id, body })).status).toBe(200)
    expect(brig.eventsOf(alice.id).at(-1)).toMatchObject({ user: { locale: 'pt-BR' } })
    expect(brig.eventsOf(bob.id)).toHaveLength(before)
  })

  it('can add MLS to its protocols, and never give it up', async () => {
    const alice = await brig.register()
    const change = (...supported_protocols: string[]) =>
      brig.call('PUT', '/self/supported-protocols', { as: alice.id, body: { supported_protocols } })
    expect((await change('mls', 'proteus', 'mls')).status).toBe(200)
    expect(brig.eventsOf(alice.id).at(-1)).toMatchObject({
      user: { supported_protocols: ['mls', 'proteus'] },
    })
    expect((await change('mls')).status).toBe(200)
    expect((await change('proteus')).body).toMatchObject({ code: 409, label: 'mls-protocol-error' })
    expect((await change('other')).body.label).toBe('bad-request')
  })

  it('is asked to try again when its devices cannot be told, and nothing is lost then', async () => {
    const alice = await brig.register()
    const body = { name: 'Again' }
    brig.failing.push(...Array.from({ length: 12 }, () => 'push'))
    const first = await brig.whileTimePasses(brig.call('PUT', '/self', { as: alice.id, body }))
    brig.failing.length = 0
    expect(first.status).toBe(503)
    expect((await brig.call('PUT', '/self', { as: alice.id, body })).status).toBe(200)
    expect(brig.eventsOf(alice.id)).toHaveLength(1)
  })

  it('keeps every one of many changes made at once', async () => {
    const alice = await brig.register()
    await Promise.all([
      brig.call('PUT', '/self', { as: alice.id, body: { name: 'At once' } }),
      brig.call('PUT', '/self', { as: alice.id, body: { accent_id: 7 } }),
      brig.call('PUT', '/self/locale', { as: alice.id, body: { locale: 'fr' } }),
    ])
    const { body } = await brig.call('GET', '/self', { as: alice.id })
    expect(body).toMatchObject({ name: 'At once', accent_id: 7, locale: 'fr' })
  })

  it('learns what the server is', async () => {
    const alice = await brig.register()
    const version = await brig.call('GET', '/api-version')
    expect(version.body).toEqual({
      supported: [8, 9, 10, 11, 12, 13, 14, 15],
      development: [],
      federation: false,
      domain: 'tricord.internal',
    })
    const settings = await brig.call('GET', '/system/settings', { as: alice.id })
    expect(settings.body).toEqual({ setRestrictUserCreation: false, setEnableMls: false })
  })
})

describe('a handle', () => {
  const claim = (as: UserId, handle: string) =>
    brig.call('PUT', '/self/handle', { as, body: { handle } })
  const isTaken = async (as: UserId, handle: string) =>
    (await brig.call('HEAD', `/handles/${handle}`, { as })).status

  it('is claimed once', async () => {
    const [alice, bob] = [await brig.register(), await brig.register()]
    expect(await isTaken(bob.id, 'first.come')).toBe(404)
    expect((await claim(alice.id, 'first.come')).status).toBe(200)
    expect(await isTaken(bob.id, 'first.come')).toBe(200)
    expect((await claim(bob.id, 'first.come')).body).toMatchObject({
      code: 409,
      label: 'handle-exists',
    })
    expect((await claim(alice.id, 'first.come')).status).toBe(200)
    expect(brig.eventsOf(alice.id)[0]).toMatchObject({ user: { handle: 'first.come' } })
    expect(brig.documents.get(alice.id)?.handle).toBe('first.come')
  })

  it('is free again when its owner took another one', async () => {
    const [alice, bob] = [await brig.register(), await brig.register()]
    await claim(alice.id, 'moving.on')
    await claim(alice.id, 'moved')
    expect(await isTaken(bob.id, 'moving.on')).toBe(404)
    expect((await claim(bob.id, 'moving.on')).status).toBe(200)
    expect((await claim(alice.id, 'moving.on')).status).toBe(409)
  })

  it('goes to exactly one of many who want it at the same moment', async () => {
    const accounts = await Promise.all(Array.from({ length: 5 }, () => brig.register()))
    const replies = await Promise.all(accounts.map(({ id }) => claim(id, 'everybody.wants')))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  it('stays with whoever claimed it when telling the devices failed', async () => {
    const [alice, bob] = [await brig.register(), await brig.register()]
    brig.failing.push(...Array.from({ length: 12 }, () => 'push'))
    expect((await brig.whileTimePasses(claim(alice.id, 'half.done'))).status).toBe(503)
    brig.failing.length = 0
    expect((await claim(bob.id, 'half.done')).status).toBe(409)
    expect((await claim(alice.id, 'half.done')).status).toBe(200)
  })

  it.each(['a', 'With.Capital', 'ümlaut', 'with space', 'admin', 'wire', 'x'.repeat(257)])(
    'cannot be %s',
    async (handle) => {
      const alice = await brig.register()
      expect((await claim(alice.id, handle)).body).toMatchObject({
        code: 400,
        label: 'invalid-handle',
      })
    },
  )

  it('is told apart by HEAD: taken, free, or none', async () => {
    const alice = await brig.register()
    expect(await isTaken(alice.id, 'admin')).toBe(200)
    expect(await isTaken(alice.id, 'nobody.has.this')).toBe(404)
    expect(await isTaken(alice.id, 'Not-One')).toBe(400)
  })

  it('is found among several, as many as are wanted', async () => {
    const alice = await brig.register()
    await claim(alice.id, 'list.taken')
    const check = (handles: string[], wanted: number) =>
      brig.call('POST', '/handles', { as: alice.id, body: { handles, return: wanted } })
    const handles = [
      'list.taken',
      'UPPER',
      'root',
      'list.one',
      'list.two',
      'list.one',
      'list.three',
    ]
    expect((await check(handles, 2)).body).toEqual(['list.one', 'list.two'])
    expect((await check(handles, 10)).body).toEqual(['list.one', 'list.two', 'list.three'])
    expect((await check(handles, 11)).body.label).toBe('bad-request')
    expect((await check([], 1)).body.label).toBe('bad-request')
  })

  it('is not for guests', async () => {
    const guest = await brig.call('POST', '/register', { body: { name: 'G' } })
    expect((await claim(guest.body.id as UserId, 'guest.one')).body).toMatchObject({
      code: 403,
      label: 'no-identity',
    })
  })
})
