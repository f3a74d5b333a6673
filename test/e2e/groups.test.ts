import { expect, it, inject } from 'vitest'

import type { Person, Room } from '../support/wire/cast.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { memberPath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

const change = ({ client }: Somebody, room: Room, what: string, json: object) =>
  client.request('PUT', `${roomPath(room)}/${what}`, { json })
const rename = (person: Somebody, room: Room, name: string) =>
  change(person, room, 'name', { name })
const remove = (person: Somebody, room: Room, member: Somebody) =>
  person.client.request('DELETE', memberPath(room, member))
const setRole = (person: Somebody, room: Room, member: Somebody, role: string) =>
  person.client.request('PUT', memberPath(room, member), { json: { conversation_role: role } })

interface Conversation {
  readonly name: string | null
  readonly members: {
    readonly self?: { readonly conversation_role: string }
    readonly others: readonly { qualified_id: QualifiedId; conversation_role: string }[]
  }
  readonly [field: string]: unknown
}

const roomAsSeenBy = async ({ client }: Somebody, room: Room): Promise<Conversation> =>
  (await client.request<Conversation>('GET', roomPath(room), { expect: 200 })).json

const idsOf = (people: readonly { user: QualifiedId }[]): string[] =>
  people.map(({ user }) => user.id).toSorted()

inBothShapes(({ person }) => {
  async function lunch(): Promise<Record<'alice' | 'bob' | 'carol', Somebody> & { room: Room }> {
    const [alice, bob, carol] = await Promise.all([person('alice'), person('bob'), person('carol')])
    const room = await alice.creates('Lunch', [bob, carol])
    return { alice, bob, carol, room }
  }

  it('shows a new group to everybody who is in it', async () => {
    const { alice, bob, carol, room } = await lunch()
    for (const member of [bob, carol]) {
      const { event } = await member.sees('conversation.create')
      expect(event.data).toMatchObject({
        name: 'Lunch',
        access: ['invite'],
        access_role: 'activated',
        access_role_v2: ['team_member', 'non_team_member', 'service'],
        members: { self: { qualified_id: member.user } },
      })
    }
    expect(await roomAsSeenBy(bob, room)).toMatchObject({
      name: 'Lunch',
      type: 0,
      creator: alice.user.id,
      team: null,
      message_timer: null,
      protocol: 'proteus',
      cells_state: 'disabled',
    })
  })

  it('holds many people, and each hears what each says', async () => {
    // Where everything runs on one machine, twenty take as long as fifty elsewhere.
    const batches = inject('engines') === undefined ? 7 : 3
    const alice = await person('alice')
    const others: Person[] = []
    for (let batch = 0; batch < batches; batch += 1) {
      // Not all at once: they register on the machine that runs everything else, too.
      const names = Array.from({ length: 7 }, (_, index) => `guest${String(others.length + index)}`)
      others.push(...(await Promise.all(names.map((name) => person(name)))))
    }
    const room = await alice.creates('Everybody', others)
    const { members } = await roomAsSeenBy(alice, room)
    expect(members.others).toHaveLength(7 * batches)

    await alice.sends(room, 'Welcome')
    await Promise.all(others.map((other) => other.receives('Welcome', { in: room })))
    const [first, ...rest] = others
    await first?.sends(room, 'Thanks')
    await Promise.all([alice, ...rest].map((member) => member.receives('Thanks', { in: room })))
  })

  it('lets admins change everything and members only leave', async () => {
    const { alice, bob, carol, room } = await lunch()
    const roles = await alice.client.request<{
      conversation_roles: { conversation_role: string; actions: string[] }[]
    }>('GET', `/conversations/${room.id.id}/roles`, { expect: 200 })
    const actions = new Map(
      roles.json.conversation_roles.map((role) => [role.conversation_role, role.actions]),
    )
    expect(actions.get('wire_member')).toEqual(['leave_conversation'])
    expect(actions.get('wire_admin')).toContain('modify_conversation_name')

    expect((await setRole(alice, room, bob, 'wire_member')).status).toBe(200)
    const { event } = await carol.sees('conversation.member-update')
    expect(event.data).toMatchObject({
      qualified_target: bob.user,
      conversation_role: 'wire_member',
    })
    expect((await roomAsSeenBy(bob, room)).members.self).toMatchObject({
      conversation_role: 'wire_member',
    })
    const denied = refused(403, 'action-denied')
    expect(await rename(bob, room, 'Dinner')).toMatchObject(denied)
    expect(await change(bob, room, 'message-timer', { message_timer: 1 })).toMatchObject(denied)
    expect(await change(bob, room, 'receipt-mode', { receipt_mode: 1 })).toMatchObject(denied)
    expect(await remove(bob, room, carol)).toMatchObject(denied)
    expect(await setRole(bob, room, carol, 'wire_member')).toMatchObject(denied)
    expect(await setRole(alice, room, alice, 'wire_member')).toMatchObject(
      refused(403, 'invalid-op'),
    )
    await bob.leaves(room)
  })

  it('is renamed for all to see, the one who did it on other devices only', async () => {
    const { alice, bob, room } = await lunch()
    const phone = await alice.takesAnotherDevice()
    const renamed = await rename(alice, room, 'Dinner')
    expect(renamed).toMatchObject({
      status: 200,
      json: { type: 'conversation.rename', data: { name: 'Dinner' } },
    })
    for (const witness of [bob, phone]) {
      expect((await witness.sees('conversation.rename')).event).toMatchObject({
        data: { name: 'Dinner' },
        qualified_from: alice.user,
      })
    }
    expect((await rename(alice, room, 'Dinner')).status).toBe(204)
    expect((await rename(alice, room, '')).status).toBe(400)

    // What comes later on the same socket shows that nothing came before it.
    await bob.sends(room, 'Where?')
    await alice.receives('Where?')
    expect(alice.heard().map(({ type }) => type)).not.toContain('conversation.rename')
  })

  it('agrees on how long messages stay and whether they are confirmed', async () => {
    const { alice, bob, room } = await lunch()
    for (const [what, before, after] of [
      ['message-timer', { message_timer: 60_000 }, { message_timer: null }],
      ['receipt-mode', { receipt_mode: 1 }, { receipt_mode: 0 }],
    ] as const) {
      for (const value of [before, after]) {
        expect((await change(alice, room, what, value)).status).toBe(200)
        expect((await change(alice, room, what, value)).status).toBe(204)
        const { event } = await bob.sees(`conversation.${what}-update`)
        expect(event.data).toEqual(value)
        expect(await roomAsSeenBy(bob, room)).toMatchObject(value)
      }
    }
  })

  it('takes in newcomers, who hear what is said from then on', async () => {
    const { alice, bob, room } = await lunch()
    const dave = await person('dave')
    await alice.connectsWith(dave)
    await alice.sends(room, 'before')
    await alice.adds(room, [dave])
    const { event } = await bob.sees('conversation.member-join')
    expect(event.data).toMatchObject({
      users: [{ qualified_id: dave.user, conversation_role: 'wire_admin' }],
      add_type: 'internal_add',
    })
    await dave.sees('conversation.member-join')
    await alice.sends(room, 'after')
    await dave.receives('after')
    expect(dave.texts(room)).toEqual(['after'])
    const again = { json: { qualified_users: [dave.user] } }
    expect((await alice.client.request('POST', `${roomPath(room)}/members`, again)).status).toBe(
      204,
    )
  })

  it('loses those who leave', async () => {
    const { alice, bob, carol, room } = await lunch()
    await bob.leaves(room)
    const { event } = await carol.sees('conversation.member-leave')
    expect(event.data).toMatchObject({ reason: 'left', qualified_user_ids: [bob.user] })
    await alice.sends(room, 'Without Bob')
    await carol.receives('Without Bob')
    expect(await bob.client.sendOtr(room.id, { recipients: {} })).toMatchObject(
      refused(404, 'no-conversation'),
    )
    expect(await bob.client.request('GET', roomPath(room))).toMatchObject(
      refused(403, 'access-denied'),
    )
    expect(bob.texts()).toEqual([])
  })

  it('loses those who are removed, and tells them', async () => {
    const { alice, bob, carol, room } = await lunch()
    const reply = await remove(alice, room, bob)
    expect(reply).toMatchObject({ status: 200, json: { type: 'conversation.member-leave' } })
    for (const witness of [bob, carol]) {
      const { event } = await witness.sees('conversation.member-leave')
      expect(event.data).toMatchObject({ reason: 'removed', qualified_user_ids: [bob.user] })
    }
    expect((await remove(alice, room, bob)).status).toBe(204)
    expect(await remove(bob, room, carol)).toMatchObject(refused(404, 'no-conversation'))
  })

  it('gets another set of members at once', async () => {
    const { alice, bob, carol, room } = await lunch()
    const dave = await person('dave')
    await alice.connectsWith(dave)
    const json = { qualified_users: [alice, carol, dave].map(({ user }) => user) }
    expect((await change(alice, room, 'members', json)).status).toBe(200)
    expect((await bob.sees('conversation.member-leave')).event.data).toMatchObject({
      reason: 'removed',
    })
    await dave.sees('conversation.member-join')
    const { members } = await roomAsSeenBy(alice, room)
    expect(members.others.map(({ qualified_id }) => qualified_id.id).toSorted()).toEqual(
      idsOf([carol, dave]),
    )
  })

  it('shows who is typing, live and to the others only', async () => {
    const { alice, bob, carol, room } = await lunch()
    await carol.goesOffline()
    const type = (status: string) =>
      alice.client.request('POST', `${roomPath(room)}/typing`, { json: { status } })
    for (const status of ['started', 'stopped']) {
      expect((await type(status)).status).toBe(200)
      const { event } = await bob.sees('conversation.typing')
      expect(event).toMatchObject({ data: { status }, qualified_from: alice.user })
    }
    await carol.comesOnline()
    await bob.sends(room, 'Still typing?')
    for (const listener of [alice, carol]) {
      await listener.receives('Still typing?')
      expect(listener.heard().map((event) => event.type)).not.toContain('conversation.typing')
    }
  })

  it('says who may come in and how', async () => {
    const { alice, bob, room } = await lunch()
    const open = {
      access: ['invite', 'code'],
      access_role: ['team_member', 'non_team_member', 'guest'],
    }
    expect((await change(alice, room, 'access', open)).status).toBe(200)
    expect((await change(alice, room, 'access', open)).status).toBe(204)
    const { event } = await bob.sees('conversation.access-update')
    expect(event.data).toMatchObject({ access: open.access, access_role_v2: open.access_role })
    expect(await roomAsSeenBy(bob, room)).toMatchObject(open)
    for (const access of [['private'], []]) {
      expect(await change(alice, room, 'access', { ...open, access })).toMatchObject(
        refused(403, 'invalid-op'),
      )
    }
  })

  it('cannot be made of two by renaming or leaving', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    expect(await rename(alice, room, 'Us')).toMatchObject({ status: 403 })
    expect(await remove(alice, room, bob)).toMatchObject({ status: 403 })
  })

  it('is listed with all others, page by page', async () => {
    const { alice, bob, room } = await lunch()
    const groups = [room, await alice.creates('Dinner', [bob]), await alice.creates('Alone', [])]
    const found: QualifiedId[] = []
    for (let pagingState: string | undefined; ;) {
      const { json } = await alice.client.request<{
        qualified_conversations: QualifiedId[]
        has_more: boolean
        paging_state: string
      }>('POST', '/conversations/list-ids', {
        json: { size: 2, ...(pagingState !== undefined && { paging_state: pagingState }) },
        expect: 200,
      })
      found.push(...json.qualified_conversations)
      if (!json.has_more) break
      pagingState = json.paging_state
    }
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
    expect(found).toEqual(expect.arrayContaining(groups.map(({ id }) => id)))

    const unknown = { ...room.id, id: crypto.randomUUID() }
    const json = { qualified_ids: [room.id, unknown] }
    expect(await alice.client.request('POST', '/conversations/list', { json })).toMatchObject({
      status: 200,
      json: { found: [{ qualified_id: room.id }], not_found: [unknown], failed: [] },
    })
  })

  it('has one for notes to oneself', async () => {
    const alice = await person('alice')
    const phone = await alice.takesAnotherDevice()
    const create = () => alice.client.request<Conversation>('POST', '/conversations/self')
    const [first, second] = [await create(), await create()]
    expect(second).toMatchObject({
      status: 200,
      json: { qualified_id: alice.user, type: 1, members: { others: [] } },
    })
    expect([200, 201]).toContain(first.status)
    await alice.sends({ name: 'notes', id: alice.user }, 'Buy milk')
    await phone.receives('Buy milk')
  })
})
