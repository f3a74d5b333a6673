import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ConnectionStatus } from '../../../contract/brig/connections.ts'
import type { TeamId, UserId } from '../../../contract/ids.ts'
import { domain, newId, origin, startTestPeople, type TestPeople } from '../test-people.ts'

let brig: TestPeople
let alice: UserId
let bob: UserId
beforeEach(async () => {
  brig = await startTestPeople({ config: { maxConnections: 5 } })
  alice = await brig.addUser({ name: 'Alice' })
  bob = await brig.addUser({ name: 'Bob' })
})
afterEach(() => brig[Symbol.asyncDispose]())

const path = (user: UserId) => `/connections/${domain}/${user}`
const post = (as: UserId, other: UserId, version = 15) =>
  brig.call('POST', path(other), { as, version })
const put = (as: UserId, other: UserId, status: ConnectionStatus, version = 15) =>
  brig.call('PUT', path(other), { as, body: { status }, version })
const get = (as: UserId, other: UserId) => brig.call('GET', path(other), { as })
async function statuses() {
  const [one, other] = [await get(alice, bob), await get(bob, alice)]
  return `${one.body.status as string} ${other.body.status as string}`
}
const galleyCalls = () =>
  brig.calls.filter(({ name }) => name !== 'publish').map(({ name, input }) => ({ name, input }))
const conversation = () => (alice < bob ? alice : bob)

describe('a request', () => {
  it.each([8, 9, 10, 11, 12, 13, 14, 15])('makes both sides, in version %i', async (version) => {
    const reply = await post(alice, bob, version)
    expect(reply.status).toBe(201)
    const common = {
      last_update: '2026-01-01T00:00:00.000Z',
      conversation: conversation(),
      qualified_conversation: { domain, id: conversation() },
    }
    const sent = { from: alice, to: bob, qualified_to: { domain, id: bob }, status: 'sent' }
    expect(reply.body).toEqual({ ...sent, ...common })
    expect((await get(alice, bob)).body).toEqual(reply.body)
    const pending = { from: bob, to: alice, qualified_to: { domain, id: alice }, status: 'pending' }
    expect((await get(bob, alice)).body).toEqual({ ...pending, ...common })
    expect(galleyCalls()).toEqual([
      {
        name: 'createConnectConversation',
        input: { body: { from: alice, to: bob, origin: '1' } },
      },
    ])
    expect(brig.pushed).toEqual([
      {
        recipients: [alice],
        event: { type: 'user.connection', connection: { ...sent, ...common } },
        origin: origin(alice),
      },
      {
        recipients: [bob],
        event: {
          type: 'user.connection',
          connection: { ...pending, ...common },
          user: { name: 'Alice' },
        },
        origin: origin(alice),
      },
    ])
  })

  it('may be sent again, which brings an ignored one back', async () => {
    await post(alice, bob)
    await put(bob, alice, 'ignored')
    expect(await statuses()).toBe('sent ignored')
    brig.pushed.length = 0
    expect((await post(alice, bob)).status).toBe(200)
    expect(await statuses()).toBe('sent pending')
    expect(brig.eventsOf(bob)).toHaveLength(1)
  })

  it('in the other direction accepts', async () => {
    await post(alice, bob)
    const reply = await post(bob, alice)
    expect([reply.status, reply.body.status]).toEqual([200, 'accepted'])
    expect(await statuses()).toBe('accepted accepted')
    expect((await post(alice, bob)).status).toBe(200)
  })

  it('of both at once ends with one connection', async () => {
    const replies = await Promise.all([post(alice, bob), post(bob, alice), post(alice, bob)])
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(await statuses()).toBe('accepted accepted')
  })

  it('goes only to people who can be known', async () => {
    const guest = await brig.addUser({ status: 'ephemeral' })
    const fresh = await brig.addUser({ isActivated: false })
    const gone = await brig.addUser({ status: 'deleted' })
    const app = await brig.addUser({ type: 'app' })
    for (const user of [alice, guest, fresh, gone, app, newId() as UserId]) {
      expect((await post(alice, user)).body).toMatchObject({ code: 400, label: 'invalid-user' })
    }
    const remote = await brig.call('POST', `/connections/other.example/${bob}`, { as: alice })
    expect(remote.body).toMatchObject({ code: 400, label: 'invalid-user' })
    for (const user of [guest, fresh]) {
      expect((await post(user, bob)).body).toMatchObject({ code: 403, label: 'no-identity' })
    }
    expect(brig.calls).toEqual([])
  })

  it('is not for members of one team', async () => {
    const team = newId() as TeamId
    const [one, two] = [await brig.addUser({ team }), await brig.addUser({ team })]
    const refused = await post(one, two)
    expect(refused.body).toMatchObject({ code: 403, label: 'same-binding-team-users' })
    expect((await post(one, bob)).status).toBe(201)
  })
})

describe('an answer', () => {
  it.each([8, 15])(
    'to accept lets the user into the conversation, in version %i',
    async (version) => {
      await post(alice, bob)
      brig.calls.length = 0
      brig.pushed.length = 0
      await brig.clock.advance(1000)
      const reply = await put(bob, alice, 'accepted', version)
      expect(reply.status).toBe(200)
      expect(reply.body).toMatchObject({
        status: 'accepted',
        last_update: '2026-01-01T00:00:01.000Z',
      })
      expect(galleyCalls()).toEqual([
        {
          name: 'acceptConnectConversation',
          input: {
            params: { conversation: conversation() },
            body: { user: bob, other: alice, origin: '1' },
          },
        },
      ])
      expect(brig.eventsOf(alice)).toEqual([
        {
          type: 'user.connection',
          connection: expect.objectContaining({ from: alice, status: 'accepted' }),
          user: { name: 'Bob' },
        },
      ])
      const again = await put(bob, alice, 'accepted', version)
      expect([again.status, again.text]).toEqual([204, ''])
      expect(brig.pushed).toHaveLength(2)
    },
  )

  it('to ignore or block is not told to the one who asked', async () => {
    await post(alice, bob)
    brig.pushed.length = 0
    await put(bob, alice, 'ignored')
    await put(bob, alice, 'blocked')
    expect(brig.eventsOf(alice)).toEqual([])
    expect(brig.eventsOf(bob)).toHaveLength(2)
    expect(await statuses()).toBe('sent blocked')
    const again = await post(alice, bob)
    expect([again.status, again.body.status]).toEqual([200, 'sent'])
    expect(brig.eventsOf(bob)).toHaveLength(2)
  })

  it('to block and then to unblock leaves and enters the conversation', async () => {
    await brig.connect(alice, bob)
    brig.calls.length = 0
    brig.pushed.length = 0
    await put(bob, alice, 'blocked')
    expect((await post(bob, alice)).body).toMatchObject({ code: 403, label: 'bad-conn-update' })
    await put(bob, alice, 'accepted')
    expect(await statuses()).toBe('accepted accepted')
    const params = { conversation: conversation() }
    expect(galleyCalls()).toEqual([
      { name: 'blockConnectConversation', input: { params, body: { user: bob } } },
      {
        name: 'unblockConnectConversation',
        input: { params, body: { user: bob, other: alice, origin: '1' } },
      },
    ])
    expect(brig.eventsOf(alice)).toEqual([])
  })

  it('comes too late for a request that was taken back', async () => {
    await post(alice, bob)
    brig.pushed.length = 0
    expect((await put(alice, bob, 'cancelled')).body.status).toBe('cancelled')
    expect(await statuses()).toBe('cancelled cancelled')
    expect(brig.eventsOf(bob)).toHaveLength(1)
    const late = await put(bob, alice, 'accepted')
    expect(late.body).toMatchObject({ code: 403, label: 'bad-conn-update' })
    expect((await post(bob, alice)).status).toBe(200)
    expect(await statuses()).toBe('pending sent')
  })

  it('needs a request', async () => {
    const reply = await put(alice, bob, 'accepted')
    expect(reply.body).toMatchObject({ code: 403, label: 'not-connected' })
    const remote = `/connections/other.example/${bob}`
    const body = { status: 'accepted' }
    const elsewhere = await brig.call('PUT', remote, { as: alice, body })
    expect(elsewhere.body).toMatchObject({ label: 'not-connected' })
    expect((await get(alice, bob)).status).toBe(404)
    expect((await brig.call('GET', remote, { as: alice })).status).toBe(404)
    const unknown = await brig.call('PUT', path(bob), { as: alice, body: { status: 'married' } })
    expect(unknown.status).toBe(400)
  })

  it('and its withdrawal at once leave both sides agreed', async () => {
    for (let round = 0; round < 10; round += 1) {
      const [one, two] = [await brig.addUser(), await brig.addUser()]
      await post(one, two)
      await Promise.all([put(one, two, 'cancelled'), put(two, one, 'accepted')])
      const own = (await get(one, two)).body.status as string
      expect((await get(two, one)).body.status).toBe(own)
      expect(['cancelled', 'accepted']).toContain(own)
    }
  })
})

describe('a limit', () => {
  it('holds for requests and answers, and not for those who are blocked', async () => {
    const others = await Promise.all(Array.from({ length: 5 }, () => brig.addUser()))
    for (const other of others) expect((await post(alice, other)).status).toBe(201)
    const limited = { code: 403, label: 'connection-limit' }
    expect((await post(alice, bob)).body).toMatchObject(limited)
    expect((await post(bob, alice)).status).toBe(201)
    expect((await put(alice, bob, 'accepted')).body).toMatchObject(limited)
    expect((await post(alice, bob)).body).toMatchObject(limited)
    const [first = bob, second = bob] = others
    expect((await post(alice, first)).status).toBe(200)
    await put(alice, first, 'cancelled')
    expect((await put(alice, bob, 'accepted')).status).toBe(200)
    expect((await post(alice, first)).body).toMatchObject(limited)
    await put(alice, second, 'blocked')
    expect((await post(alice, first)).status).toBe(200)
    expect((await put(alice, second, 'accepted')).body).toMatchObject(limited)
  })
})

describe('what a crash left', () => {
  const away = ['createConnectConversation', 'publish']
  it.each(away)('of a request without %s is completed by trying again', async (name) => {
    brig.failing.push(name)
    expect((await post(alice, bob)).status).toBe(503)
    const again = await post(alice, bob)
    expect([again.status, again.body.conversation]).toEqual([200, conversation()])
    expect(await statuses()).toBe('sent pending')
    expect(brig.eventsOf(bob).length).toBeGreaterThan(0)
  })

  it('is completed by the other side as well', async () => {
    brig.failing.push('createConnectConversation')
    expect((await post(alice, bob)).status).toBe(503)
    expect((await put(bob, alice, 'accepted')).status).toBe(200)
    expect(await statuses()).toBe('accepted accepted')
    const names = galleyCalls().map((call) => call.name)
    expect(names).toEqual(['createConnectConversation', 'acceptConnectConversation'])
    const forAlice = brig.eventsOf(alice).map((event) => JSON.stringify(event))
    expect(forAlice).toHaveLength(2)
    // The connection that asked has no reply: it must see the event.
    expect(brig.pushed[0]).toMatchObject({ recipients: [alice], origin: undefined })
  })

  it.each([
    ['accepted', 'acceptConnectConversation'],
    ['accepted', 'publish'],
    ['blocked', 'blockConnectConversation'],
    ['ignored', 'publish'],
  ] as const)('of an answer %s without %s is completed by trying again', async (status, name) => {
    await post(alice, bob)
    brig.calls.length = 0
    brig.pushed.length = 0
    brig.failing.push(name)
    expect((await put(bob, alice, status)).status).toBe(503)
    expect(brig.pushed).toEqual([])
    const again = await put(bob, alice, status)
    expect([again.status, again.body.status]).toEqual([200, status])
    expect(brig.pushed.length).toBeGreaterThan(0)
    expect((await put(bob, alice, status)).status).toBe(204)
  })
})

describe('the list', () => {
  const list = (body?: unknown, version = 15) =>
    brig.call('POST', '/list-connections', { as: alice, body, version })

  it.each([8, 15])('comes in pages that end, in version %i', async (version) => {
    const others = await Promise.all(Array.from({ length: 5 }, () => brig.addUser()))
    for (const other of others) await post(other, alice)
    const seen: string[] = []
    let state: string | undefined
    for (let pages = 1; ; pages += 1) {
      const body = { size: 2, ...(state !== undefined && { paging_state: state }) }
      const reply = await list(body, version)
      seen.push(...(reply.body.connections as { to: string }[]).map(({ to }) => to))
      state = reply.body.paging_state as string
      if (reply.body.has_more === false) {
        expect(pages).toBe(3)
        break
      }
    }
    expect(seen.toSorted()).toEqual(others.toSorted())
    const end = await list({ paging_state: state }, version)
    expect(end.body).toMatchObject({ connections: [], has_more: false })
  })

  it('needs no body and may be empty', async () => {
    const none = await list()
    expect(none.body).toEqual({
      connections: [],
      has_more: false,
      paging_state: expect.any(String),
    })
    expect((await list({ paging_state: none.body.paging_state as string })).status).toBe(200)
  })

  it.each([{ size: 0 }, { size: 501 }, { paging_state: 'nonsense' }, { paging_state: '' }])(
    'refuses %o',
    async (body) => {
      expect((await list(body)).body).toMatchObject({ code: 400, label: 'bad-request' })
    },
  )
})

describe('a user who is gone', () => {
  it('leaves no connections, devices or properties', async () => {
    const carol = await brig.addUser()
    await brig.connect(alice, bob)
    await post(alice, carol)
    const client = await brig.addClient(alice)
    await brig.call('PUT', '/properties/a', { as: alice, text: '1' })
    brig.pushed.length = 0
    await brig.people.forget(alice)
    await brig.people.forget(alice)
    expect((await get(bob, alice)).status).toBe(404)
    expect((await get(carol, alice)).status).toBe(404)
    expect(brig.pushed.map(({ recipients }) => recipients)).toEqual([[carol]])
    expect(brig.eventsOf(carol)).toEqual([
      {
        type: 'user.connection',
        connection: expect.objectContaining({ from: carol, to: alice, status: 'cancelled' }),
      },
    ])
    expect(await brig.people.hasClient(alice, client)).toBe(false)
    const prekey = await brig.call('GET', `/users/${domain}/${alice}/prekeys/${client}`, {
      as: bob,
    })
    expect(prekey.status).toBe(404)
    expect((await brig.call('GET', '/properties', { as: alice })).body).toEqual([])
    const listed = await brig.call('POST', '/list-connections', { as: bob, body: {} })
    expect(listed.body.connections).toEqual([])
  })
})
