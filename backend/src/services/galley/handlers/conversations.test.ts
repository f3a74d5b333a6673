import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GalleyConfig } from '../config.ts'
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

beforeEach(async () => {
  galley = await startTestGalley()
  ;[alice, bob, carol] = galley.friends(3) as [Person, Person, Person]
})
afterEach(() => galley[Symbol.asyncDispose]())

const labelled = (status: number, label: string) => ({ status, body: { label } })

describe('creating a group', () => {
  it('makes the creator an admin and gives the others the role that was asked for', async () => {
    const reply = await alice.call('POST', '/conversations', {
      qualified_users: [bob.qualified, carol.qualified],
      name: 'Tea',
      conversation_role: 'wire_member',
      message_timer: 60_000,
      receipt_mode: 1,
    })
    expect(reply.status).toBe(201)
    expect(reply.headers.get('location')).toBe(at(reply.body, 'qualified_id', 'id'))
    expect(reply.body).toMatchObject({
      qualified_id: { domain },
      type: 0,
      creator: alice.id,
      name: 'Tea',
      access: ['invite'],
      access_role: ['team_member', 'non_team_member', 'service'],
      message_timer: 60_000,
      receipt_mode: 1,
      group_conv_type: 'group_conversation',
      team: null,
      add_permission: null,
      cells_state: 'disabled',
      parent: null,
      history: null,
      protocol: 'proteus',
      last_event: '0.0',
      last_event_time: '1970-01-01T00:00:00.000Z',
      failed_to_add: [],
      members: {
        self: { id: alice.id, conversation_role: 'wire_admin', otr_archived: false, service: null },
      },
    })
    expect(at(reply.body, 'members', 'others')).toEqual(
      expect.arrayContaining(
        [bob, carol].map(({ id, qualified }) => ({
          id,
          qualified_id: qualified,
          conversation_role: 'wire_member',
          status: 0,
        })),
      ),
    )
  })

  it.each([8, 9])('answers in version %i with the own view', async (version) => {
    const reply = await alice.call('POST', `/v${String(version)}/conversations`, {})
    expect(reply.body).toHaveProperty('id', at(reply.body, 'qualified_id', 'id'))
    expect(reply.body).not.toHaveProperty('parent')
  })

  it.each([
    [10, false, false],
    [11, false, false],
    [12, true, false],
    [14, true, false],
    [15, true, true],
  ])('answers in version %i with parent %s and history %s', async (version, parent, history) => {
    const reply = await alice.call('POST', `/v${String(version)}/conversations`, {})
    expect(reply.status).toBe(201)
    expect('id' in reply.body).toBe(false)
    expect('parent' in reply.body).toBe(parent)
    expect('history' in reply.body).toBe(history)
  })

  it('tells every member as that member sees it, in the old shape', async () => {
    const { id } = await alice.createGroup([bob])
    const [entry] = galley.gundeck.inboxOf(bob)
    expect(entry?.event).toMatchObject({
      type: 'conversation.create',
      conversation: id,
      qualified_conversation: { domain, id },
      from: alice.id,
      via: 'user',
      data: {
        id,
        access_role: 'activated',
        access_role_v2: ['team_member', 'non_team_member', 'service'],
        members: { self: { id: bob.id }, others: [{ id: alice.id }] },
      },
    })
    // The acting connection is skipped live; the creator's other devices are told.
    expect(galley.gundeck.inboxOf(alice)[0]?.origin).toEqual({
      user: alice.id,
      connection: alice.connection,
    })
    expect(galley.gundeck.typesFor(carol)).toEqual([])
  })

  it('takes users of this backend by their plain ids, each once, and not the caller', async () => {
    const group = await alice.createGroup([bob, bob, alice], { users: [bob.id, carol.id] })
    const others = group.members.others.map(({ id }) => id)
    expect(new Set(others)).toEqual(new Set([bob.id, carol.id]))
    expect(others).toHaveLength(2)
  })

  it('refuses strangers', async () => {
    const stranger = galley.person()
    const users = { qualified_users: [bob.qualified, stranger.qualified] }
    expect(await alice.call('POST', '/conversations', users)).toMatchObject(
      labelled(403, 'not-connected'),
    )
    expect(galley.gundeck.typesFor(bob)).toEqual([])
  })

  it('refuses what does not exist here, each in its own words', async () => {
    const users = [bob.qualified]
    const create = (body: object) => alice.call('POST', '/conversations', body)
    expect(await create({ protocol: 'mls', qualified_users: users })).toMatchObject(
      labelled(400, 'non-empty-member-list'),
    )
    expect(await create({ protocol: 'mls' })).toMatchObject(labelled(400, 'mls-not-enabled'))
    const team = { teamid: '00000000-0000-4000-8000-000000000001', managed: false }
    expect(await create({ team })).toMatchObject(labelled(403, 'no-team-member'))
    expect(await create({ group_conv_type: 'channel' })).toMatchObject(
      labelled(403, 'operation-denied'),
    )
    expect(await create({ history: { depth: 'infinite' } })).toMatchObject(
      labelled(400, 'history-not-supported'),
    )
    expect(await create({ access_role: [] })).toMatchObject(labelled(403, 'access-denied'))
    const abroad = { domain: 'elsewhere.net', id: bob.id }
    expect(await create({ qualified_users: [abroad] })).toMatchObject({
      status: 533,
      body: { unreachable_backends: ['elsewhere.net'] },
    })
  })

  it('does not know the fields of later versions', async () => {
    const reply = await alice.call('POST', '/v14/conversations', { history: { depth: 'infinite' } })
    expect(reply.status).toBe(201)
  })

  it('refuses guests, wrong roles, and names that are empty or too long', async () => {
    const guest = galley.person({ isActivated: false, status: 'ephemeral' })
    expect(await guest.call('POST', '/conversations', {})).toMatchObject(
      labelled(403, 'operation-denied'),
    )
    for (const body of [
      { conversation_role: 'wire_owner' },
      { name: '' },
      { name: 'x'.repeat(257) },
      { qualified_users: [{ domain, id: 'bob' }] },
    ]) {
      expect(await alice.call('POST', '/conversations', body)).toMatchObject(
        labelled(400, 'bad-request'),
      )
    }
    expect((await alice.createGroup([], { name: '🎈'.repeat(256) })).name).toHaveLength(512)
  })

  it('has room for so many, the creator among them', async () => {
    expect(GalleyConfig.parse({}).maxConversationSize).toBe(500)
    await using small = await startTestGalley({ config: { maxConversationSize: 60 } })
    const [maker, ...others] = small.friends(61) as [Person, ...Person[]]
    const group = await maker.createGroup(others.slice(1))
    expect(group.members.others).toHaveLength(59)
    // Events of large groups go out in several pushes.
    for (const user of others.slice(1)) {
      expect(small.gundeck.typesFor(user)).toEqual(['conversation.create'])
    }
    const users = others.map(({ qualified }) => qualified)
    expect(await maker.call('POST', '/conversations', { qualified_users: users })).toMatchObject(
      labelled(400, 'bad-request'),
    )
  })

  it('takes a parent that the creator is in', async () => {
    const parent = (await bob.createGroup([])).id
    expect(await alice.call('POST', '/conversations', { parent })).toMatchObject(
      labelled(403, 'operation-denied'),
    )
    const reply = await bob.call('POST', '/conversations', { parent })
    expect(reply.body).toMatchObject({ parent })
    expect((await bob.call('POST', '/v11/conversations', { parent })).status).toBe(201)
  })
})

describe('reading', () => {
  it('shows a conversation to its members only', async () => {
    const group = await alice.createGroup([bob])
    for (const version of [8, 9, 10, 11, 12, 13, 14, 15]) {
      const reply = await bob.call('GET', `/v${String(version)}${pathOf(group)}`)
      expect(reply.body).toMatchObject({
        members: { self: { id: bob.id }, others: [{ id: alice.id }] },
      })
      expect('id' in reply.body).toBe(version < 10)
    }
    expect(await carol.call('GET', pathOf(group))).toMatchObject(labelled(403, 'access-denied'))
    const unknown = pathOf({ id: '00000000-0000-4000-8000-000000000000' })
    expect(await bob.call('GET', unknown)).toMatchObject(labelled(404, 'no-conversation'))
    const abroad = `/conversations/elsewhere.net/${group.id}`
    expect(await bob.call('GET', abroad)).toMatchObject(labelled(404, 'no-conversation'))
  })

  it('lists ids in pages, the self conversation among them', async () => {
    const ids = [alice.id as string]
    for (let count = 0; count < 5; count += 1) ids.push((await alice.createGroup()).id)
    const found: unknown[] = []
    let state: unknown
    for (let pages = 0; pages < 3; pages += 1) {
      const body = { size: 2, ...(state ? { paging_state: state } : {}) }
      const reply = await alice.call('POST', '/conversations/list-ids', body)
      found.push(...(reply.body['qualified_conversations'] as unknown[]))
      expect(reply.body['has_more']).toBe(pages < 2)
      state = reply.body['paging_state']
    }
    expect(found).toEqual([...ids].sort().map((id) => ({ domain, id })))
    const after = await alice.call('POST', '/conversations/list-ids', { paging_state: state })
    expect(after.body).toMatchObject({ qualified_conversations: [], has_more: false })
    // No body at all means the first page.
    expect((await alice.call('POST', '/conversations/list-ids')).status).toBe(200)
    for (const paging_state of ['x', 'AQ', Buffer.alloc(40).toString('base64url')]) {
      expect(await alice.call('POST', '/conversations/list-ids', { paging_state })).toMatchObject(
        labelled(400, 'bad-request'),
      )
    }
  })

  it('lists several, and says which are not there', async () => {
    const mine = await alice.createGroup([bob])
    const theirs = await bob.createGroup([carol])
    const gone = { domain, id: '00000000-0000-4000-8000-000000000000' }
    const abroad = { domain: 'elsewhere.net', id: mine.id }
    const qualified_ids = [mine.qualified_id, theirs.qualified_id, gone, abroad, mine.qualified_id]
    for (const version of [8, 12, 15]) {
      const path = `/v${String(version)}/conversations/list`
      const reply = await alice.call('POST', path, { qualified_ids })
      expect(at(reply.body, 'found')).toEqual([expect.objectContaining({ id: mine.id })])
      expect(reply.body).toMatchObject({
        not_found: [theirs.qualified_id, gone, abroad],
        failed: [],
      })
      expect('history' in (at(reply.body, 'found', 0) as object)).toBe(version === 15)
    }
    expect((await alice.call('POST', '/conversations/list', { qualified_ids: [] })).status).toBe(
      400,
    )
  })
})

describe('conversations that have one owner or two', () => {
  it('makes the self conversation once, with the id of the user', async () => {
    for (const [version, status] of [
      [8, 201],
      [13, 200],
      [15, 200],
    ]) {
      const reply = await alice.call('POST', `/v${String(version)}/conversations/self`, {})
      expect(reply).toMatchObject({
        status,
        body: { id: alice.id, type: 1, access: ['private'], access_role: [] },
      })
    }
    expect(galley.gundeck.typesFor(alice)).toEqual([])
  })

  it('makes a 1:1 once, whoever asks, and tells both', async () => {
    const ask = (from: Person, to: Person) =>
      from.call('POST', '/one2one-conversations', { qualified_users: [to.qualified] })
    const created = await ask(alice, bob)
    expect(created).toMatchObject({ status: 201, body: { type: 2, access: ['private'] } })
    expect((await ask(bob, alice)).status).toBe(200)
    expect(galley.gundeck.typesFor(bob)).toEqual(['conversation.create'])
    expect(await ask(alice, alice)).toMatchObject(labelled(403, 'invalid-op'))
    expect(await ask(alice, galley.person())).toMatchObject(labelled(403, 'not-connected'))
    const two = { qualified_users: [bob.qualified], users: [carol.id] }
    expect(await alice.call('POST', '/one2one-conversations', two)).toMatchObject(
      labelled(400, 'bad-request'),
    )
    const abroad = { qualified_users: [{ domain: 'elsewhere.net', id: bob.id }] }
    expect((await alice.call('POST', '/one2one-conversations', abroad)).status).toBe(533)
    const team = { teamid: bob.id, managed: false }
    expect(
      await alice.call('POST', '/one2one-conversations', { users: [bob.id], team }),
    ).toMatchObject(labelled(403, 'no-team-member'))
  })
})
