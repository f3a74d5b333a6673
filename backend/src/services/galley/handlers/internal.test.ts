import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClientId, ConversationId } from '../../../contract/ids.ts'
import { oneToOneConversationId } from '../rules/conversation-ids.ts'
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
let id: ConversationId

beforeEach(async () => {
  galley = await startTestGalley()
  ;[alice, bob] = galley.friends(2) as [Person, Person]
  id = oneToOneConversationId(alice.id, bob.id)
})
afterEach(() => galley[Symbol.asyncDispose]())

const connect = (from: Person, to: Person, more: object = {}) =>
  galley.internal.createConnectConversation({ body: { from: from.id, to: to.id, ...more } })
const act = (what: 'accept' | 'unblock', user: Person, other: Person) =>
  galley.internal[`${what}ConnectConversation`]({
    params: { conversation: id },
    body: { user: user.id, other: other.id, origin: user.connection },
  })
const accept = (user: Person, other: Person) => act('accept', user, other)
const unblock = (user: Person, other: Person) => act('unblock', user, other)
const block = (user: Person) =>
  galley.internal.blockConnectConversation({
    params: { conversation: id },
    body: { user: user.id },
  })
const seenBy = async (viewer: Person) => {
  const reply = await viewer.call('GET', pathOf({ id }))
  if (reply.status !== 200) return reply.status
  const others = at(reply.body, 'members', 'others') as { id: string }[]
  return { type: reply.body['type'], others: others.map((member) => member.id) }
}

describe('a connection', () => {
  it('has a conversation that its maker alone is in, until the other accepts', async () => {
    const { body } = await connect(alice, bob, { name: 'Alice', origin: alice.connection })
    expect(body.conversation).toEqual({ domain, id })
    expect(await seenBy(alice)).toEqual({ type: 3, others: [] })
    expect(await seenBy(bob)).toBe(403)
    const [created, request] = galley.gundeck.inboxOf(alice)
    expect(created).toMatchObject({
      origin: { connection: alice.connection },
      event: { type: 'conversation.create', data: { type: 3, name: 'Alice', access: ['private'] } },
    })
    expect(request?.event).toMatchObject({
      type: 'conversation.connect-request',
      data: { recipient: bob.id, qualified_recipient: bob.qualified, name: 'Alice' },
    })

    await accept(bob, alice)
    expect(await seenBy(alice)).toEqual({ type: 2, others: [bob.id] })
    for (const user of [alice, bob]) {
      expect(galley.gundeck.inboxOf(user).at(-1)).toMatchObject({
        origin: { user: bob.id, connection: bob.connection },
        event: { type: 'conversation.member-join', from: bob.id, data: { user_ids: [bob.id] } },
      })
    }
  })

  it('does nothing twice', async () => {
    await connect(alice, bob)
    await accept(bob, alice)
    const told = galley.gundeck.inboxOf(alice).length
    await accept(bob, alice)
    await unblock(bob, alice)
    await connect(alice, bob)
    expect(galley.gundeck.inboxOf(alice)).toHaveLength(told)
    expect(await seenBy(bob)).toEqual({ type: 2, others: [alice.id] })
  })

  it('asks again with a new name', async () => {
    await connect(alice, bob, { name: 'Alice' })
    await connect(alice, bob, { name: 'Alice B.' })
    expect((await alice.call('GET', pathOf({ id }))).body).toMatchObject({ name: 'Alice B.' })
    expect(galley.gundeck.typesFor(alice)).toEqual([
      'conversation.create',
      'conversation.connect-request',
      'conversation.connect-request',
    ])
  })

  it('is complete when both ask', async () => {
    await connect(alice, bob)
    await connect(bob, alice)
    expect(await seenBy(alice)).toEqual({ type: 2, others: [bob.id] })
  })

  it('loses whoever blocks or cancels, and gets them back', async () => {
    await connect(alice, bob)
    await accept(bob, alice)
    await block(bob)
    await block(bob)
    expect(await seenBy(bob)).toBe(403)
    expect(await seenBy(alice)).toEqual({ type: 2, others: [] })
    expect(galley.gundeck.typesFor(alice).at(-1)).toBe('conversation.member-join')
    await unblock(bob, alice)
    expect(await seenBy(bob)).toEqual({ type: 2, others: [alice.id] })
  })

  it('can be cancelled before it was accepted, and begun from the other side', async () => {
    await connect(alice, bob)
    await block(alice)
    expect(await seenBy(alice)).toBe(403)
    await connect(bob, alice)
    expect(await seenBy(bob)).toEqual({ type: 3, others: [] })
    await accept(alice, bob)
    expect(await seenBy(bob)).toEqual({ type: 2, others: [alice.id] })
  })

  it('gets its conversation even if the call that makes it was lost', async () => {
    await accept(bob, alice)
    expect(await seenBy(alice)).toEqual({ type: 2, others: [bob.id] })
    expect(galley.gundeck.typesFor(alice)).toEqual(['conversation.create'])
  })
})

describe('devices', () => {
  it('come with a self conversation', async () => {
    await galley.addClient(alice, 'a1')
    const listed = await alice.call('POST', '/conversations/list', {
      qualified_ids: [alice.qualified],
    })
    expect(at(listed.body, 'found', 0)).toMatchObject({ id: alice.id, type: 1 })
    await galley.internal.removeClient({ params: { user: alice.id, client: 'ff' as ClientId } })
  })
})

describe('a deleted user', () => {
  it('is out of every conversation, and only groups are told', async () => {
    const [carol] = galley.friends(1) as [Person]
    galley.brig.connect(alice, bob, carol)
    await connect(alice, bob)
    await accept(bob, alice)
    const b1 = await galley.addClient(bob, 'b1')
    const groups = []
    for (let count = 0; count < 3; count += 1) groups.push(await alice.createGroup([bob, carol]))
    galley.gundeck.clear()

    await galley.internal.removeUser({ params: { user: bob.id } })
    await galley.internal.removeUser({ params: { user: bob.id } })
    for (const { id: group } of groups) {
      const view = await alice.call('GET', pathOf({ id: group }))
      expect(at(view.body, 'members', 'others')).toHaveLength(1)
    }
    expect(await seenBy(alice)).toEqual({ type: 2, others: [] })
    expect(galley.gundeck.inboxOf(carol).map(({ event }) => event)).toMatchObject(
      groups.map(() => ({
        type: 'conversation.member-leave',
        from: bob.id,
        data: { reason: 'user-deleted', user_ids: [bob.id] },
      })),
    )
    expect(galley.gundeck.typesFor(alice)).toHaveLength(3)
    expect(galley.gundeck.typesFor(bob)).toEqual([])
    // No device of a deleted user counts any more.
    const a1 = await galley.addClient(alice, 'a1')
    await galley.addClient(bob, b1)
    const sent = await alice.send(pathOf(groups[0] ?? alice, '/proteus/messages'), a1, [])
    expect(sent.status).toBe(201)
  })
})
