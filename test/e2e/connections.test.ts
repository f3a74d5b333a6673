import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { connectionPath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface Connection {
  readonly status: string
  readonly qualified_to: QualifiedId
  readonly qualified_conversation: QualifiedId
}

const ask = (asker: Somebody, other: Somebody) =>
  asker.client.request<Connection>('POST', connectionPath(other))
const answer = (person: Somebody, other: Somebody, status: string) =>
  person.client.request<Connection>('PUT', connectionPath(other), { json: { status } })

async function statusOf(person: Somebody, other: Somebody): Promise<string> {
  const request = { expect: 200 }
  const reply = await person.client.request<Connection>('GET', connectionPath(other), request)
  return reply.json.status
}

/** The person's next news of a connection, with the status it has now. */
const hearsOfConnection = async (person: Somebody): Promise<unknown> => {
  const { event } = await person.sees('user.connection')
  return (event['connection'] as Connection).status
}

inBothShapes(({ person }) => {
  async function strangers(): Promise<{ alice: Somebody; bob: Somebody }> {
    const [alice, bob] = await Promise.all([person('alice'), person('bob')])
    return { alice, bob }
  }

  it('grows from a request to a room that both are in', async () => {
    const { alice, bob } = await strangers()
    const phone = await alice.takesAnotherDevice()
    const asked = await ask(alice, bob)
    expect(asked).toMatchObject({ status: 201, json: { status: 'sent', qualified_to: bob.user } })
    const room = { id: asked.json.qualified_conversation }

    const { event } = await bob.sees('user.connection')
    expect(event).toMatchObject({
      connection: { status: 'pending', qualified_to: alice.user },
      user: { name: 'alice' },
    })
    const { event: request } = await phone.sees('conversation.connect-request')
    expect(request.data).toMatchObject({ qualified_recipient: bob.user })
    expect((await alice.client.request('GET', roomPath(room))).json).toMatchObject({
      type: 3,
      members: { others: [] },
    })

    expect(await answer(bob, alice, 'accepted')).toMatchObject({
      status: 200,
      json: { status: 'accepted' },
    })
    expect((await answer(bob, alice, 'accepted')).status).toBe(204)
    expect(await hearsOfConnection(alice)).toBe('accepted')
    const { event: join } = await alice.sees('conversation.member-join')
    expect(join.data).toMatchObject({ users: [{ qualified_id: bob.user }] })
    for (const [self, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      expect((await self.client.request('GET', roomPath(room))).json).toMatchObject({
        type: 2,
        members: { others: [{ qualified_id: other.user }] },
      })
    }
  })

  it('answers a second request with the connection that there is', async () => {
    const { alice, bob } = await strangers()
    await ask(alice, bob)
    expect(await ask(alice, bob)).toMatchObject({ status: 200, json: { status: 'sent' } })
  })

  it('is accepted when both ask', async () => {
    const { alice, bob } = await strangers()
    await ask(alice, bob)
    expect(await ask(bob, alice)).toMatchObject({ status: 200, json: { status: 'accepted' } })
    expect(await statusOf(alice, bob)).toBe('accepted')
  })

  it('can be ignored, which the asker does not learn, and accepted later', async () => {
    const { alice, bob } = await strangers()
    await ask(alice, bob)
    expect((await answer(bob, alice, 'ignored')).status).toBe(200)
    expect(await statusOf(alice, bob)).toBe('sent')
    expect((await answer(bob, alice, 'accepted')).status).toBe(200)
    expect(await hearsOfConnection(alice)).toBe('accepted')
  })

  it('can be called back before it is answered, and asked for again', async () => {
    const { alice, bob } = await strangers()
    await ask(alice, bob)
    expect(await hearsOfConnection(bob)).toBe('pending')
    expect(await answer(alice, bob, 'cancelled')).toMatchObject({
      status: 200,
      json: { status: 'cancelled' },
    })
    expect(await hearsOfConnection(bob)).toBe('cancelled')
    expect(await answer(bob, alice, 'accepted')).toMatchObject(refused(403, 'bad-conn-update'))
    expect(await ask(alice, bob)).toMatchObject({ json: { status: 'sent' } })
    expect(await hearsOfConnection(bob)).toBe('pending')
    expect((await answer(bob, alice, 'accepted')).status).toBe(200)
  })

  it('lets nothing through while it is blocked, and everything after', async () => {
    const { alice, bob } = await strangers()
    const room = await alice.connectsWith(bob)
    const phone = await bob.takesAnotherDevice()
    expect((await answer(bob, alice, 'blocked')).status).toBe(200)
    await phone.sees(
      ({ type, ...event }) =>
        type === 'user.connection' && (event['connection'] as Connection).status === 'blocked',
    )
    expect(await statusOf(alice, bob)).toBe('accepted')
    await alice.sends(room, 'to nobody')
    expect((await bob.client.sendOtr(room.id, { recipients: {} })).status).toBe(404)

    expect(await answer(bob, alice, 'accepted')).toMatchObject({
      status: 200,
      json: { status: 'accepted' },
    })
    await alice.sends(room, 'to a friend')
    await bob.receives('to a friend')
    expect(bob.texts()).toEqual(['to a friend'])
  })

  it('lets a blocked stranger ask, and the other side never hears of it', async () => {
    const { alice, bob } = await strangers()
    await ask(alice, bob)
    await answer(bob, alice, 'blocked')
    expect(await ask(alice, bob)).toMatchObject({ status: 200, json: { status: 'sent' } })
    expect(await statusOf(bob, alice)).toBe('blocked')
    expect((await answer(bob, alice, 'accepted')).status).toBe(200)
    expect(await statusOf(alice, bob)).toBe('accepted')
  })

  it('moves only along its own paths', async () => {
    const { alice, bob } = await strangers()
    expect(await answer(alice, bob, 'accepted')).toMatchObject(refused(403, 'not-connected'))
    expect((await alice.client.request('GET', connectionPath(bob))).status).toBe(404)
    await ask(alice, bob)
    for (const status of ['accepted', 'ignored', 'pending']) {
      expect(await answer(alice, bob, status)).toMatchObject(refused(403, 'bad-conn-update'))
    }
    expect(await answer(bob, alice, 'cancelled')).toMatchObject(refused(403, 'bad-conn-update'))
  })

  it('needs another user who exists', async () => {
    const { alice, bob } = await strangers()
    expect(await ask(alice, alice)).toMatchObject(refused(400, 'invalid-user'))
    const nobody = { ...bob, user: { ...bob.user, id: crypto.randomUUID() } }
    expect(await ask(alice, nobody)).toMatchObject(refused(400, 'invalid-user'))
  })

  it('is what members of a group need', async () => {
    const { alice, bob } = await strangers()
    const json = { name: 'Strangers', qualified_users: [bob.user] }
    expect(await alice.client.request('POST', '/conversations', { json })).toMatchObject(
      refused(403, 'not-connected'),
    )
  })

  it('is listed page by page', async () => {
    const { alice, bob } = await strangers()
    const others = [bob, ...(await Promise.all(['carol', 'dave'].map((name) => person(name))))]
    for (const other of others) await ask(alice, other)
    const found: QualifiedId[] = []
    for (let pagingState: string | undefined; ;) {
      const { json } = await alice.client.request<{
        connections: Connection[]
        has_more: boolean
        paging_state: string
      }>('POST', '/list-connections', {
        json: { size: 2, ...(pagingState !== undefined && { paging_state: pagingState }) },
        expect: 200,
      })
      expect(json.connections.length).toBeLessThanOrEqual(2)
      found.push(...json.connections.map(({ qualified_to: to }) => to))
      if (!json.has_more) break
      pagingState = json.paging_state
    }
    const ids = (users: readonly QualifiedId[]) => users.map(({ id }) => id).toSorted()
    expect(ids(found)).toEqual(ids(others.map(({ user }) => user)))
  })
})
