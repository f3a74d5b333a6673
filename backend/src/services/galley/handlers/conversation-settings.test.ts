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
let stranger: Person
let group: OwnConversation

beforeEach(async () => {
  galley = await startTestGalley()
  ;[alice, bob, stranger] = galley.friends(3) as [Person, Person, Person]
  group = await alice.createGroup([bob], { conversation_role: 'wire_member', name: 'Tea' })
  galley.gundeck.clear()
})
afterEach(() => galley[Symbol.asyncDispose]())

const labelled = (status: number, label: string) => ({ status, body: { label } })
const set = (by: Person, what: string, body: object) =>
  by.call('PUT', pathOf(group, `/${what}`), body)
const seenBy = async (viewer: Person) => (await viewer.call('GET', pathOf(group))).body

describe.each([
  ['name', { name: 'Coffee' }, 'conversation.rename', { name: 'Coffee' }],
  [
    'message-timer',
    { message_timer: 1000 },
    'conversation.message-timer-update',
    { message_timer: 1000 },
  ],
  ['receipt-mode', { receipt_mode: 1 }, 'conversation.receipt-mode-update', { receipt_mode: 1 }],
])('changing the %s', (what, body, type, data) => {
  it('answers with the event that everybody gets, and 204 for the same again', async () => {
    const reply = await set(alice, what, body)
    expect(reply).toMatchObject({ status: 200, body: { type, data, from: alice.id } })
    expect(galley.gundeck.inboxOf(bob)[0]?.event).toEqual(reply.body)
    expect(await seenBy(bob)).toMatchObject(data)
    expect((await set(alice, what, body)).status).toBe(204)
    expect(galley.gundeck.typesFor(bob)).toEqual([type])
  })

  it('is for admins, of groups, who are in', async () => {
    expect(await set(bob, what, body)).toMatchObject(labelled(403, 'action-denied'))
    expect(await set(stranger, what, body)).toMatchObject(labelled(404, 'no-conversation'))
    const self = (await alice.call('POST', '/conversations/self', {})).body
    const selfPath = pathOf({ id: String(self['id']) }, `/${what}`)
    expect(await alice.call('PUT', selfPath, body)).toMatchObject(labelled(403, 'invalid-op'))
    const abroad = `/conversations/elsewhere.net/${group.id}/${what}`
    expect(await alice.call('PUT', abroad, body)).toMatchObject(labelled(404, 'no-conversation'))
  })
})

describe('details', () => {
  it('switches the timer off again with null, or with nothing', async () => {
    for (const off of [{ message_timer: null }, {}]) {
      await set(alice, 'message-timer', { message_timer: 5 })
      const reply = await set(alice, 'message-timer', off)
      expect(reply).toMatchObject({ status: 200, body: { data: { message_timer: null } } })
      expect(await seenBy(bob)).toMatchObject({ message_timer: null })
      expect((await set(alice, 'message-timer', off)).status).toBe(204)
    }
  })

  it('refuses values that have no place', async () => {
    for (const [what, body] of [
      ['name', { name: '' }],
      ['name', { name: 'x'.repeat(257) }],
      ['message-timer', { message_timer: 1.5 }],
      ['receipt-mode', { receipt_mode: 2 ** 31 }],
      ['receipt-mode', {}],
      ['access', { access: ['invite'] }],
    ] as const) {
      expect(await set(alice, what, body)).toMatchObject(labelled(400, 'bad-request'))
    }
  })
})

describe('access', () => {
  const wide = {
    access: ['invite', 'code'],
    access_role: ['team_member', 'non_team_member', 'guest', 'service'],
  }
  const narrow = { access: ['invite'], access_role: ['team_member', 'non_team_member'] }

  it('is told with the old name of the roles beside the new ones', async () => {
    const reply = await set(alice, 'access', wide)
    expect(reply).toMatchObject({
      status: 200,
      body: {
        type: 'conversation.access-update',
        data: {
          access: wide.access,
          access_role: 'non_activated',
          access_role_v2: wide.access_role,
        },
      },
    })
    expect(galley.gundeck.inboxOf(bob)[0]?.event).toEqual(reply.body)
    expect(await seenBy(bob)).toMatchObject(wide)
    const shuffled = {
      access: ['code', 'invite', 'code'],
      access_role: ['service', 'guest', 'non_team_member', 'team_member'],
    }
    expect((await set(alice, 'access', shuffled)).status).toBe(204)
    expect(at((await set(alice, 'access', narrow)).body, 'data', 'access_role')).toBe('activated')
  })

  it('refuses what would shut everybody out', async () => {
    for (const body of [
      { ...wide, access: ['private'] },
      { ...wide, access: [] },
      { ...wide, access_role: [] },
      { ...wide, access_role: ['team_member'] },
    ]) {
      expect(await set(alice, 'access', body)).toMatchObject(labelled(403, 'invalid-op'))
    }
    expect(await set(bob, 'access', wide)).toMatchObject(labelled(403, 'action-denied'))
  })

  it('takes guests out and revokes the link when they are no longer welcome', async () => {
    await set(alice, 'access', wide)
    const guest = galley.person({ isActivated: false, status: 'ephemeral' })
    const { body } = await alice.call('POST', `/conversations/${group.id}/code`, {})
    const link = at(body, 'data') as { key: string; code: string }
    const code = { key: link.key, code: link.code }
    expect((await guest.call('POST', '/conversations/join', code)).status).toBe(200)
    galley.gundeck.clear()

    const reply = await set(alice, 'access', narrow)
    expect(reply.body).toMatchObject({ type: 'conversation.access-update' })
    for (const user of [bob, guest]) {
      expect(galley.gundeck.typesFor(user)).toEqual([
        'conversation.access-update',
        'conversation.member-leave',
      ])
    }
    expect(galley.gundeck.inboxOf(guest)[1]?.event).toMatchObject({
      from: alice.id,
      data: { reason: 'removed', user_ids: [guest.id] },
    })
    expect(at(await seenBy(bob), 'members', 'others')).toHaveLength(1)
    expect(await guest.call('POST', '/conversations/code-check', code)).toMatchObject(
      labelled(404, 'no-conversation-code'),
    )
  })
})

describe('typing', () => {
  it('is seen by the others, on their sockets only', async () => {
    const path = pathOf(group, '/typing')
    expect((await bob.call('POST', path, { status: 'started' })).status).toBe(200)
    expect(galley.gundeck.inboxOf(alice)).toMatchObject([
      {
        isTransient: true,
        origin: { user: bob.id },
        event: {
          type: 'conversation.typing',
          qualified_conversation: { domain, id: group.id },
          from: bob.id,
          data: { status: 'started' },
        },
      },
    ])
    expect(galley.gundeck.typesFor(bob)).toEqual([])
    expect(await stranger.call('POST', path, { status: 'stopped' })).toMatchObject(
      labelled(404, 'no-conversation'),
    )
    expect(await bob.call('POST', path, { status: 'thinking' })).toMatchObject(
      labelled(400, 'bad-request'),
    )
  })
})
