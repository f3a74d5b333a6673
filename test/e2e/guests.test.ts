import { expect, it } from 'vitest'

import type { Person, Room } from '../support/wire/cast.ts'
import type { RawClient, SelfUser } from '../support/wire/raw.ts'
import { refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface Link {
  readonly key: string
  readonly code: string
}

const everybody = ['team_member', 'non_team_member', 'guest', 'service']

const codePath = (room: Room): string => `/conversations/${room.id.id}/code`
const setAccess = ({ client }: Somebody, room: Room, access: string[], access_role: string[]) =>
  client.request('PUT', `${roomPath(room)}/access`, { json: { access, access_role } })
const makeLink = ({ client }: Somebody, room: Room, json: object = {}) =>
  client.request<Link & { data: Link }>('POST', codePath(room), { json })
const join = (client: RawClient, { key, code }: Link, password?: string) =>
  client.request('POST', '/conversations/join', { json: { key, code, password } })

inBothShapes(({ person, stranger }) => {
  /** A group that guests may come into by a link. */
  async function openHouse(): Promise<{ alice: Somebody; room: Room }> {
    const alice = await person('alice')
    const room = await alice.creates('Open house', [])
    expect((await setAccess(alice, room, ['invite', 'code'], everybody)).status).toBe(200)
    return { alice, room }
  }

  /** Somebody without an address, with a device, whose account ends by itself. */
  async function guest(name: string): Promise<RawClient> {
    const client = stranger({ name })
    const json = { name, expires_in: 3600 }
    const reply = await client.request<SelfUser>('POST', '/register', { json, expect: 201 })
    expect(reply.json).toMatchObject({ status: 'ephemeral', expires_at: expect.any(String) })
    expect(client.jar.get('zuid')?.expiresAtMs).toBeUndefined()
    client.user = reply.json.qualified_id
    await client.access()
    await client.registerDevice({ type: 'temporary' })
    return client
  }

  it('lets a guest without an address in by a link, who can talk and listen', async () => {
    const { alice, room } = await openHouse()
    const made = await makeLink(alice, room)
    expect(made).toMatchObject({
      status: 201,
      json: { type: 'conversation.code-update', data: { has_password: false } },
    })
    const { data: link } = made.json

    const gina = await guest('Gina')
    const query = { key: link.key, code: link.code }
    expect(await gina.request('GET', '/conversations/join', { query })).toMatchObject({
      status: 200,
      json: { id: room.id.id, name: 'Open house', has_password: false },
    })
    await using socket = await gina.openAwait()
    expect(await join(gina, link)).toMatchObject({
      status: 200,
      json: { type: 'conversation.member-join', data: { users: [{ qualified_id: gina.user }] } },
    })
    expect((await join(gina, link)).status).toBe(204)
    expect((await alice.sees('conversation.member-join')).event.data).toMatchObject({
      users: [{ qualified_id: gina.user, conversation_role: 'wire_member' }],
    })

    await alice.sends(room, 'Come in')
    const { event } = await socket.receives(({ type }) => type === 'conversation.otr-message-add')
    expect(event.qualified_from).toEqual(alice.user)
    const { domain, id } = alice.user
    const recipients = { [domain]: { [id]: { [alice.device]: Buffer.from('Thank you') } } }
    await gina.sendOtr(room.id, { recipients }, { expect: 201 })
    await alice.receives('Thank you')
  })

  it('keeps guests from what is for people with an account', async () => {
    const alice = await person('alice')
    const gina = await guest('Gina')
    const { domain, id } = alice.user
    const handle = { json: { handle: 'gina_the_guest' } }
    for (const reply of [
      await gina.request('POST', `/connections/${domain}/${id}`),
      await gina.request('GET', '/search/contacts', { query: { q: alice.handle } }),
      await gina.request('PUT', '/self/handle', handle),
    ]) {
      expect(reply.status).toBe(403)
    }
  })

  it('lets people in who are connected to nobody there', async () => {
    const { alice, room } = await openHouse()
    const { data: link } = (await makeLink(alice, room)).json
    const bob = await person('bob')
    expect((await join(bob.client, link)).status).toBe(200)
    await bob.sends(room, 'Anybody home?')
    await alice.receives('Anybody home?')
  })

  it('has one link at a time, which outlives being asked for again', async () => {
    const { alice, room } = await openHouse()
    const { data: link } = (await makeLink(alice, room)).json
    expect(await makeLink(alice, room)).toMatchObject({ status: 200, json: link })
    expect(await alice.client.request('GET', codePath(room))).toMatchObject({
      status: 200,
      json: link,
    })
    expect(await makeLink(alice, room, { password: 'open sesame' })).toMatchObject(
      refused(409, 'create-conv-code-conflict'),
    )
    const check = (json: Link) =>
      stranger().request('POST', '/conversations/code-check', {
        json: { key: json.key, code: json.code },
      })
    expect((await check(link)).status).toBe(200)
    const removed = await alice.client.request('DELETE', codePath(room), { expect: 200 })
    expect(removed.json).toMatchObject({ type: 'conversation.code-delete', data: null })
    expect(await check(link)).toMatchObject(refused(404, 'no-conversation-code'))
    expect(await alice.client.request('GET', codePath(room))).toMatchObject(
      refused(404, 'no-conversation-code'),
    )
    expect(await join((await person('bob')).client, link)).toMatchObject(
      refused(404, 'no-conversation-code'),
    )
  })

  it('asks for the password of the link', async () => {
    const { alice, room } = await openHouse()
    const made = await makeLink(alice, room, { password: 'open sesame' })
    expect(made).toMatchObject({ status: 201, json: { data: { has_password: true } } })
    const { data: link } = made.json
    const bob = await person('bob')
    for (const wrong of [undefined, 'open barley']) {
      expect(await join(bob.client, link, wrong)).toMatchObject(
        refused(403, 'invalid-conversation-password'),
      )
    }
    expect((await join(bob.client, link, 'open sesame')).status).toBe(200)
  })

  it('closes the door on guests and their link when access is taken back', async () => {
    const { alice, room } = await openHouse()
    const { data: link } = (await makeLink(alice, room)).json
    const gina = await guest('Gina')
    const bob = await person('bob')
    for (const client of [gina, bob.client]) expect((await join(client, link)).status).toBe(200)
    await using socket = await gina.openAwait()

    expect(
      (await setAccess(alice, room, ['invite'], ['team_member', 'non_team_member'])).status,
    ).toBe(200)
    const { event } = await socket.receives(({ type }) => type === 'conversation.member-leave')
    expect(event.data).toMatchObject({ reason: 'removed', qualified_user_ids: [gina.user] })
    const check = { json: { key: link.key, code: link.code } }
    expect((await stranger().request('POST', '/conversations/code-check', check)).status).toBe(404)
    expect((await makeLink(alice, room)).status).toBe(403)
    await bob.sends(room, 'Cosy')
    await alice.receives('Cosy')
  })

  it('is for admins to open', async () => {
    const { alice, room } = await openHouse()
    const { data: link } = (await makeLink(alice, room)).json
    const bob = await person('bob')
    await join(bob.client, link)
    expect((await makeLink(bob, room)).status).toBe(403)
    const featurePath = `/conversations/${room.id.id}/features/conversationGuestLinks`
    expect(await alice.client.request('GET', featurePath)).toMatchObject({
      status: 200,
      json: { status: 'enabled' },
    })
    expect((await bob.client.request('GET', featurePath)).status).toBe(403)
  })
})
