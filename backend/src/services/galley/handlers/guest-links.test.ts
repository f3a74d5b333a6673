import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Unavailable } from '../../../contract/error.ts'
import type { OwnConversation } from '../../../contract/galley/conversation-fields.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import {
  at,
  pathOf,
  startTestGalley,
  whileTimePasses,
  type Person,
  type TestGalley,
} from '../test-galley.ts'

let galley: TestGalley
let alice: Person
let bob: Person
let guest: Person
let group: OwnConversation

const open = {
  access: ['invite', 'code'],
  access_role: ['team_member', 'non_team_member', 'guest', 'service'],
  conversation_role: 'wire_member',
  name: 'Tea',
}

beforeEach(async () => {
  galley = await startTestGalley({ config: { guestLinks: { ttlSeconds: 3600 } } })
  ;[alice, bob] = galley.friends(2) as [Person, Person]
  guest = galley.person({ isActivated: false, status: 'ephemeral' })
  group = await alice.createGroup([bob], open)
  galley.gundeck.clear()
})
afterEach(() => galley[Symbol.asyncDispose]())

const labelled = (status: number, label: string) => ({ status, body: { label } })
const codePath = (conversation: { id: string } = group) => `/conversations/${conversation.id}/code`
const createCode = (by: Person, body?: object) => by.call('POST', codePath(), body)
async function link(password?: string): Promise<{ key: string; code: string }> {
  const { body } = await createCode(alice, password === undefined ? {} : { password })
  const { key, code } = at(body, 'data') as { key: string; code: string }
  return { key, code }
}

describe('a guest link', () => {
  it('is made once and told to everybody', async () => {
    const key = createHash('sha256').update(group.id).digest().subarray(0, 15).toString('base64url')
    const reply = await createCode(alice)
    const info = at(reply.body, 'data') as { key: string; code: string; uri: string }
    expect(reply.status).toBe(201)
    expect(info).toMatchObject({ key, has_password: false })
    expect(info.code).toMatch(/^[\w-]{20}$/)
    expect(info.uri).toBe(
      `https://account.example.org/conversation-join/?key=${key}&code=${info.code}`,
    )
    expect(galley.gundeck.inboxOf(bob)[0]?.event).toEqual(reply.body)
    expect(await createCode(alice, {})).toMatchObject({ status: 200, body: info })
    expect(galley.gundeck.typesFor(bob)).toEqual(['conversation.code-update'])
    for (const version of [8, 13, 14]) {
      const read = await bob.call('GET', `/v${String(version)}${codePath()}`)
      expect(read.body).toEqual(info)
    }
  })

  it('is one, even if two admins ask at the same moment', async () => {
    const replies = await Promise.all([createCode(alice), createCode(alice), createCode(alice)])
    expect(replies.map(({ status }) => String(status)).sort()).toEqual(['200', '200', '201'])
    const codes = replies.map(({ body }) => at(body, 'data', 'code') ?? at(body, 'code'))
    expect(new Set(codes).size).toBe(1)
  })

  it('is told of when another galley changes the conversation before that', async () => {
    const { db, clock, gundeck, brig } = galley
    let rename: (() => Promise<unknown>) | undefined
    const between: WideColumnStore = {
      ...db,
      async putIfAbsent(...given) {
        const isDone = await db.putIfAbsent(...given)
        if (given[0].name === 'galley_codes') await rename?.()
        rename = undefined
        return isDone
      },
    }
    const shared = { clock, gundeck, brig, isAlone: false }
    await using other = await startTestGalley({ ...shared, db })
    await using slow = await startTestGalley({ ...shared, db: between })
    const path = pathOf(group, '/name')
    for (const password of [undefined, 'correct horse']) {
      gundeck.clear()
      const name = `Coffee ${password ?? ''}`
      rename = () => other.personOf(alice).call('PUT', path, { name })
      const made = await whileTimePasses(clock, createCode(slow.personOf(alice), { password }))
      expect(made.status).toBe(201)
      const told = gundeck.inboxOf(bob).map(({ event }) => event)
      expect(told.map(({ type }) => type)).toEqual([
        'conversation.rename',
        'conversation.code-update',
      ])
      expect(told[1]).toEqual(made.body)
      expect((await other.personOf(alice).call('DELETE', codePath())).status).toBe(200)
    }
  })

  it('outlives a change that would have ended it and did not happen', async () => {
    const { db, clock, gundeck, brig } = galley
    const code = await link()
    const refuse = () => Promise.reject(new Unavailable('the store takes no changes'))
    const failing: WideColumnStore = { ...db, updateIf: refuse }
    await using broken = await startTestGalley({
      clock,
      gundeck,
      brig,
      isAlone: false,
      db: failing,
    })
    const admin = broken.personOf(alice)
    const closed = {
      access: ['invite'],
      access_role: ['team_member', 'non_team_member', 'service'],
    }
    expect((await admin.call('DELETE', codePath())).status).toBe(503)
    expect((await admin.call('PUT', pathOf(group, '/access'), closed)).status).toBe(503)
    expect((await guest.call('POST', '/conversations/code-check', code)).status).toBe(200)
  })

  it('does not change its password unseen', async () => {
    expect(await createCode(alice, { password: 'short' })).toMatchObject(
      labelled(400, 'bad-request'),
    )
    const made = await createCode(alice, { password: 'correct horse' })
    expect(at(made.body, 'data', 'has_password')).toBe(true)
    for (const body of [{}, { password: 'correct horse' }]) {
      expect(await createCode(alice, body)).toMatchObject(
        labelled(409, 'create-conv-code-conflict'),
      )
    }
  })

  it('is for admins of conversations that let outsiders in by code', async () => {
    expect(await createCode(bob)).toMatchObject(labelled(403, 'access-denied'))
    expect(await createCode(guest)).toMatchObject(labelled(404, 'no-conversation'))
    const closed = await alice.createGroup([], { ...open, access: ['invite'] })
    const inside = await alice.createGroup([], { ...open, access_role: ['team_member'] })
    for (const conversation of [closed, inside]) {
      expect(await alice.call('POST', codePath(conversation), {})).toMatchObject(
        labelled(403, 'access-denied'),
      )
    }
    expect(await alice.call('GET', codePath(closed))).toMatchObject(labelled(403, 'access-denied'))
    expect(await alice.call('GET', codePath())).toMatchObject(labelled(404, 'no-conversation-code'))
    expect(await guest.call('GET', codePath())).toMatchObject(labelled(404, 'no-conversation'))
  })

  it('can be revoked', async () => {
    const code = await link()
    expect(await bob.call('DELETE', codePath())).toMatchObject(labelled(403, 'access-denied'))
    const reply = await alice.call('DELETE', codePath())
    expect(reply).toMatchObject({
      status: 200,
      body: { type: 'conversation.code-delete', data: null },
    })
    expect(galley.gundeck.inboxOf(bob).at(-1)?.event).toEqual(reply.body)
    expect(await guest.call('POST', '/conversations/join', code)).toMatchObject(
      labelled(404, 'no-conversation-code'),
    )
    expect((await link()).code).not.toBe(code.code)
  })

  it('runs out', async () => {
    const code = await link()
    galley.clock.setNow(galley.clock.nowMs() + 3_600_001)
    expect(await guest.call('POST', '/conversations/code-check', code)).toMatchObject(
      labelled(404, 'no-conversation-code'),
    )
  })
})

describe('coming in', () => {
  it('shows what the link leads to', async () => {
    const code = await link()
    const query = new URLSearchParams(code).toString()
    expect((await guest.call('POST', '/conversations/code-check', code)).status).toBe(200)
    expect((await guest.call('GET', `/conversations/join?${query}`)).body).toEqual({
      id: group.id,
      name: 'Tea',
      has_password: false,
    })
    for (const wrong of [
      { ...code, code: 'x' },
      { ...code, key: 'y' },
    ]) {
      expect(await guest.call('POST', '/conversations/code-check', wrong)).toMatchObject(
        labelled(404, 'no-conversation-code'),
      )
    }
    expect(await guest.call('GET', '/conversations/join?key=x')).toMatchObject(
      labelled(400, 'bad-request'),
    )
  })

  it('makes a plain member, whom all see', async () => {
    const reply = await guest.call('POST', '/conversations/join', await link())
    expect(reply).toMatchObject({
      status: 200,
      body: {
        type: 'conversation.member-join',
        from: guest.id,
        data: { users: [{ id: guest.id, conversation_role: 'wire_member' }] },
      },
    })
    for (const user of [alice, bob, guest]) {
      expect(galley.gundeck.inboxOf(user).at(-1)?.event).toEqual(reply.body)
    }
    const again = await createCode(alice)
    const code = { key: again.body['key'], code: again.body['code'] }
    expect((await guest.call('POST', '/conversations/join', code)).status).toBe(204)
  })

  it('asks for the password', async () => {
    const code = await link('correct horse')
    for (const password of [undefined, 'battery staple']) {
      expect(await guest.call('POST', '/conversations/join', { ...code, password })).toMatchObject(
        labelled(403, 'invalid-conversation-password'),
      )
    }
    const right = { ...code, password: 'correct horse' }
    expect((await guest.call('POST', '/conversations/join', right)).status).toBe(200)
  })

  it('keeps to the access roles and the limit', async () => {
    await using small = await startTestGalley({ config: { maxConversationSize: 2 } })
    const [one, two] = small.friends(2) as [Person, Person]
    const room = await one.createGroup([], { ...open, access_role: ['non_team_member'] })
    const { body } = await one.call('POST', `/conversations/${room.id}/code`, {})
    const { key, code } = at(body, 'data') as { key: string; code: string }
    const join = (who: Person) => who.call('POST', '/conversations/join', { key, code })
    const nobody = small.person({ isActivated: false, status: 'ephemeral' })
    expect(await join(nobody)).toMatchObject(labelled(403, 'access-denied'))
    const cover = `/conversations/join?${new URLSearchParams({ key, code }).toString()}`
    expect(await nobody.call('GET', cover)).toMatchObject(labelled(403, 'access-denied'))
    expect((await join(two)).status).toBe(200)
    expect(await join(small.person())).toMatchObject(labelled(403, 'too-many-members'))
  })
})

describe('the switch', () => {
  it('turns guest links off, also those that exist', async () => {
    await using off = await startTestGalley({ config: { guestLinks: { isEnabled: false } } })
    const [one] = off.friends(1) as [Person]
    const room = await one.createGroup([], open)
    const path = `/conversations/${room.id}/code`
    expect(await one.call('POST', path, {})).toMatchObject(labelled(409, 'guest-links-disabled'))
    expect(await one.call('GET', path)).toMatchObject(labelled(409, 'guest-links-disabled'))
    expect(
      await one.call('POST', '/conversations/code-check', { key: 'k', code: 'c' }),
    ).toMatchObject(labelled(404, 'no-conversation-code'))
    const feature = `/conversations/${room.id}/features/conversationGuestLinks`
    expect((await one.call('GET', feature)).body).toEqual({
      status: 'disabled',
      lockStatus: 'locked',
    })
    const features = await one.call('GET', '/feature-configs')
    expect(at(features.body, 'conversationGuestLinks', 'status')).toBe('disabled')
  })

  it('is shown to admins', async () => {
    const feature = `/conversations/${group.id}/features/conversationGuestLinks`
    expect((await alice.call('GET', feature)).body).toEqual({
      status: 'enabled',
      lockStatus: 'unlocked',
    })
    expect(await bob.call('GET', feature)).toMatchObject(labelled(403, 'access-denied'))
    expect(await guest.call('GET', feature)).toMatchObject(labelled(404, 'no-conversation'))
    expect((await alice.call('GET', pathOf(group))).status).toBe(200)
  })
})
