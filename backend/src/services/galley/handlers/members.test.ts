import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OwnConversation } from '../../../contract/galley/conversation-fields.ts'
import {
  at,
  domain,
  pathOf,
  startTestGalley,
  type Person,
  type TestGalley,
} from '../test-galley.ts'

let galley: TestGalley
let alice: Person
let bob: Person
let carol: Person
let dave: Person
let group: OwnConversation

/** Alice and Dave are admins, Bob is a plain member, Carol is not in. */
beforeEach(async () => {
  galley = await startTestGalley()
  ;[alice, bob, carol, dave] = galley.friends(4) as [Person, Person, Person, Person]
  group = await alice.createGroup([bob], { conversation_role: 'wire_member' })
  await alice.call('POST', pathOf(group, '/members'), { qualified_users: [dave.qualified] })
  galley.gundeck.clear()
})
afterEach(() => galley[Symbol.asyncDispose]())

const labelled = (status: number, label: string) => ({ status, body: { label } })
const add = (by: Person, users: readonly Person[], more: object = {}) =>
  by.call('POST', pathOf(group, '/members'), {
    qualified_users: users.map(({ qualified }) => qualified),
    ...more,
  })
const replace = (by: Person, users: readonly Person[]) =>
  by.call('PUT', pathOf(group, '/members'), {
    qualified_users: users.map(({ qualified }) => qualified),
  })
const memberPath = (user: Person) => pathOf(group, `/members/${domain}/${user.id}`)
const remove = (by: Person, user: Person) => by.call('DELETE', memberPath(user))
const membersSeenBy = async (viewer: Person) => {
  const { body } = await viewer.call('GET', pathOf(group))
  const others = at(body, 'members', 'others') as { id: string }[]
  return new Set([...others.map(({ id }) => id), viewer.id])
}

describe('adding', () => {
  it('answers with the event that all members get, also the new ones', async () => {
    const reply = await add(alice, [carol], { conversation_role: 'wire_member' })
    expect(reply).toMatchObject({
      status: 200,
      body: {
        type: 'conversation.member-join',
        from: alice.id,
        via: 'user',
        data: {
          users: [
            { id: carol.id, qualified_id: carol.qualified, conversation_role: 'wire_member' },
          ],
          user_ids: [carol.id],
          add_type: 'internal_add',
        },
      },
    })
    for (const member of [alice, bob, carol, dave]) {
      const [entry, ...more] = galley.gundeck.inboxOf(member)
      expect(entry?.event).toEqual(reply.body)
      expect(entry?.origin).toEqual({ user: alice.id, connection: alice.connection })
      expect(more).toEqual([])
    }
    expect(await membersSeenBy(carol)).toEqual(
      new Set([alice, bob, carol, dave].map(({ id }) => id)),
    )
  })

  it('does nothing for those who are in', async () => {
    expect((await add(alice, [bob, alice])).status).toBe(204)
    expect(galley.gundeck.typesFor(bob)).toEqual([])
    const some = await add(alice, [bob, carol])
    expect(at(some.body, 'data', 'user_ids')).toEqual([carol.id])
  })

  it('needs the role, a connection, and a conversation that one is in', async () => {
    expect(await add(bob, [carol])).toMatchObject(labelled(403, 'action-denied'))
    expect(at((await add(bob, [carol])).body, 'message')).toContain('add_conversation_member')
    expect(await add(alice, [galley.person()])).toMatchObject(labelled(403, 'not-connected'))
    expect(await add(carol, [carol])).toMatchObject(labelled(404, 'no-conversation'))
    expect(await add(alice, [])).toMatchObject(labelled(400, 'bad-request'))
    const abroad = { qualified_users: [{ domain: 'elsewhere.net', id: carol.id }] }
    expect(await alice.call('POST', pathOf(group, '/members'), abroad)).toMatchObject({
      status: 533,
      body: { unreachable_backends: ['elsewhere.net'] },
    })
    const other = `/conversations/elsewhere.net/${group.id}/members`
    expect(await alice.call('POST', other, { qualified_users: [carol.qualified] })).toMatchObject(
      labelled(404, 'no-conversation'),
    )
  })

  it('keeps to the access of the conversation', async () => {
    const guest = galley.person({ isActivated: false, status: 'ephemeral' })
    galley.brig.connect(alice, guest)
    expect(await add(alice, [guest])).toMatchObject(labelled(403, 'access-denied'))
    const closed = await alice.createGroup([], { access: ['code'] })
    expect(
      await alice.call('POST', pathOf(closed, '/members'), { qualified_users: [bob.qualified] }),
    ).toMatchObject(labelled(403, 'access-denied'))
    const inside = await alice.createGroup([], { access_role: ['team_member'] })
    expect(
      await alice.call('POST', pathOf(inside, '/members'), { qualified_users: [bob.qualified] }),
    ).toMatchObject(labelled(403, 'no-team-member'))
  })

  it('stops at the limit', async () => {
    await using small = await startTestGalley({ config: { maxConversationSize: 3 } })
    const [one, two, three, four] = small.friends(4) as [Person, Person, Person, Person]
    const room = await one.createGroup([two])
    const members = (...users: Person[]) => ({
      qualified_users: users.map(({ qualified }) => qualified),
    })
    expect(await one.call('POST', pathOf(room, '/members'), members(three, four))).toMatchObject(
      labelled(403, 'too-many-members'),
    )
    expect((await one.call('POST', pathOf(room, '/members'), members(three))).status).toBe(200)
    // Who goes makes room for who comes.
    expect((await one.call('PUT', pathOf(room, '/members'), members(one, two, four))).status).toBe(
      200,
    )
  })

  it('is for groups only', async () => {
    const self = await alice.call('POST', '/conversations/self', {})
    expect(
      await alice.call('POST', pathOf({ id: String(self.body['id']) }, '/members'), {
        qualified_users: [bob.qualified],
      }),
    ).toMatchObject(labelled(403, 'invalid-op'))
  })
})

describe('replacing', () => {
  it('adds and removes until the list is right, and tells everybody', async () => {
    expect((await replace(alice, [alice, bob, carol])).status).toBe(200)
    expect(await membersSeenBy(alice)).toEqual(new Set([alice.id, bob.id, carol.id]))
    for (const user of [alice, bob, carol, dave]) {
      expect(galley.gundeck.typesFor(user)).toEqual([
        'conversation.member-join',
        'conversation.member-leave',
      ])
    }
    expect(galley.gundeck.inboxOf(dave)[1]?.event).toMatchObject({
      data: { reason: 'removed', user_ids: [dave.id] },
    })
  })

  it('removes the caller too, if the list says so', async () => {
    expect((await replace(alice, [bob])).status).toBe(200)
    expect(await membersSeenBy(bob)).toEqual(new Set([bob.id]))
  })

  it('says nothing when nothing changes, and exists since version 13', async () => {
    expect((await replace(alice, [alice, bob, dave])).status).toBe(200)
    expect(galley.gundeck.typesFor(bob)).toEqual([])
    expect(await replace(bob, [bob])).toMatchObject(labelled(403, 'action-denied'))
    const old = await alice.call('PUT', `/v12${pathOf(group, '/members')}`, {
      qualified_users: [bob.qualified],
    })
    expect(old).toMatchObject(labelled(404, 'not-found'))
  })
})

describe('leaving and removing', () => {
  it('lets everybody leave, and tells those who stay and the own devices', async () => {
    const reply = await remove(bob, bob)
    expect(reply).toMatchObject({
      status: 200,
      body: {
        type: 'conversation.member-leave',
        data: { reason: 'left', user_ids: [bob.id], qualified_user_ids: [bob.qualified] },
      },
    })
    for (const user of [alice, bob, dave]) {
      expect(galley.gundeck.inboxOf(user)[0]?.event).toEqual(reply.body)
    }
    expect(await bob.call('GET', pathOf(group))).toMatchObject(labelled(403, 'access-denied'))
    expect(await remove(bob, bob)).toMatchObject(labelled(404, 'no-conversation'))
    const listed = await bob.call('POST', '/conversations/list-ids', {})
    expect(listed.body['qualified_conversations']).toEqual([bob.qualified])
  })

  it('lets admins remove others', async () => {
    expect(await remove(bob, dave)).toMatchObject(labelled(403, 'action-denied'))
    expect(await remove(dave, bob)).toMatchObject({
      status: 200,
      body: { from: dave.id, data: { reason: 'removed' } },
    })
    expect(galley.gundeck.typesFor(bob)).toEqual(['conversation.member-leave'])
    expect((await remove(dave, bob)).status).toBe(204)
    const abroad = pathOf(group, `/members/elsewhere.net/${alice.id}`)
    expect((await dave.call('DELETE', abroad)).status).toBe(204)
    expect(await remove(carol, alice)).toMatchObject(labelled(404, 'no-conversation'))
  })

  it('forgets what a member kept about a conversation that it left', async () => {
    await bob.call('PUT', pathOf(group, '/self'), { otr_archived: true, otr_archived_ref: 'x' })
    await remove(bob, bob)
    await add(alice, [bob])
    const self = await bob.call('GET', pathOf(group, '/self'))
    expect(self.body).toMatchObject({ otr_archived: false, otr_archived_ref: null })
  })
})

describe('roles', () => {
  it('lists what each may do', async () => {
    const reply = await bob.call('GET', `/conversations/${group.id}/roles`)
    expect(reply.body).toMatchObject({
      conversation_roles: [
        { conversation_role: 'wire_admin' },
        { conversation_role: 'wire_member', actions: ['leave_conversation'] },
      ],
    })
    expect(at(reply.body, 'conversation_roles', 0, 'actions')).toHaveLength(10)
    const path = `/conversations/${group.id}/roles`
    expect(await carol.call('GET', path)).toMatchObject(labelled(403, 'access-denied'))
    const unknown = '/conversations/00000000-0000-4000-8000-000000000000/roles'
    expect(await carol.call('GET', unknown)).toMatchObject(labelled(404, 'no-conversation'))
  })

  it('are given by admins, to others, and take effect at once', async () => {
    const promote = { conversation_role: 'wire_admin' }
    const set = (by: Person, user: Person, body: object) => by.call('PUT', memberPath(user), body)
    expect(await set(bob, dave, promote)).toMatchObject(labelled(403, 'action-denied'))
    expect(await set(alice, alice, promote)).toMatchObject(labelled(403, 'invalid-op'))
    expect(await set(alice, carol, promote)).toMatchObject(labelled(404, 'no-conversation-member'))
    expect(await set(carol, alice, promote)).toMatchObject(labelled(404, 'no-conversation'))
    expect(await set(alice, bob, {})).toMatchObject(labelled(400, 'bad-request'))
    expect((await set(alice, bob, promote)).status).toBe(200)
    expect(galley.gundeck.inboxOf(dave)[0]?.event).toMatchObject({
      type: 'conversation.member-update',
      data: { target: bob.id, qualified_target: bob.qualified, ...promote },
    })
    expect((await add(bob, [carol])).status).toBe(200)
  })
})

describe('one’s own membership', () => {
  it('is kept for the other devices, field by field', async () => {
    const path = pathOf(group, '/self')
    await bob.call('PUT', path, { otr_muted_status: 3, otr_muted_ref: '2026-01-01' })
    expect(
      (await bob.call('PUT', path, { hidden: true, hidden_ref: 'h', otr_muted_ref: null })).status,
    ).toBe(200)
    const kept = {
      otr_muted_status: 3,
      otr_muted_ref: '2026-01-01',
      otr_archived: false,
      hidden: true,
      hidden_ref: 'h',
    }
    expect((await bob.call('GET', path)).body).toMatchObject({ id: bob.id, ...kept })
    expect(at((await bob.call('GET', pathOf(group))).body, 'members', 'self')).toMatchObject(kept)
    const [, second] = galley.gundeck.inboxOf(bob)
    expect(second?.event).toMatchObject({
      type: 'conversation.member-update',
      data: { target: bob.id, qualified_target: bob.qualified, hidden: true, hidden_ref: 'h' },
    })
    expect(Object.keys(second?.event.data ?? {})).toHaveLength(4)
    expect(galley.gundeck.typesFor(alice)).toEqual([])
  })

  it('needs a change, and a membership', async () => {
    const path = pathOf(group, '/self')
    expect(await bob.call('PUT', path, {})).toMatchObject(labelled(400, 'bad-request'))
    expect(await bob.call('PUT', path, { hidden: null })).toMatchObject(
      labelled(400, 'bad-request'),
    )
    expect(await carol.call('PUT', path, { hidden: true })).toMatchObject(
      labelled(404, 'no-conversation'),
    )
    expect(await carol.call('GET', path)).toMatchObject(labelled(404, 'no-conversation'))
    expect(await bob.call('GET', `/v8${path}`)).toMatchObject(labelled(404, 'not-found'))
  })
})
