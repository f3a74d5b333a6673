import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { RawClient } from '../support/wire/raw.ts'
import type { EventsMessage, WireEvent } from '../support/wire/raw-socket.ts'
import { inBothShapes } from './shapes.ts'

const isHandle =
  (handle: string) =>
  (event: { readonly [field: string]: unknown }): boolean =>
    event['type'] === 'user.update' && (event['user'] as { handle?: string }).handle === handle

const textOf = ({ type, data }: WireEvent): string[] =>
  type === 'conversation.otr-message-add'
    ? [Buffer.from((data as { text: string }).text, 'base64').toString()]
    : []

function handlesIn(messages: readonly EventsMessage[]): unknown[] {
  return messages.flatMap((message) =>
    message.type === 'event'
      ? message.data.event.payload
          .filter(({ type }) => type === 'user.update')
          .map(({ user }) => (user as { handle?: string }).handle)
      : [],
  )
}

inBothShapes(({ person, stranger }) => {
  /** One more device of a person, which acknowledges what it reads. */
  async function acknowledgingDevice(owner: Person): Promise<RawClient> {
    const client = stranger({ name: `${owner.name}'s queue` })
    await client.login({ email: owner.email, password: owner.password })
    await client.registerDevice({
      password: owner.password,
      capabilities: ['consumable-notifications'],
    })
    return client
  }

  it("carries texts to Wire's client, live and after being offline, each once", async () => {
    const alice = await person('alice', { kind: 'core' })
    const bob = await person('bob', { kind: 'core', hasEventQueue: true })
    const room = await alice.connectsWith(bob)
    await alice.sends(room, 'live')
    await bob.receives('live')
    await bob.goesOffline()
    for (const text of ['one', 'two']) await alice.sends(room, text)
    await bob.comesOnline()
    for (const text of ['one', 'two']) await bob.receives(text)
    await bob.goesOffline()
    await bob.comesOnline()
    await alice.sends(room, 'last')
    await bob.receives('last')
    expect(bob.texts(room)).toEqual(['live', 'one', 'two', 'last'])
    const troubles = bob.client.events.seen(({ kind }) => kind === 'missed' || kind === 'defect')
    expect(troubles).toEqual([])
  })

  it('delivers again what was not acknowledged, and nothing that was', async () => {
    const alice = await person('alice')
    const queue = await acknowledgingDevice(alice)
    const handles = ['first', 'second', 'third'].map(
      (name) => `${name}_${alice.user.id.slice(0, 8)}`,
    )
    const setHandle = (handle: string) =>
      alice.client.request('PUT', '/self/handle', { json: { handle }, expect: 200 })

    const [first = '', second = '', third = ''] = handles
    {
      await using socket = await queue.openEvents()
      await setHandle(first)
      const { data } = await socket.receives(isHandle(first))
      socket.acknowledge(data.delivery_tag, { multiple: true })
      await setHandle(second)
      await socket.receives(isHandle(second))
      await socket.close()
    }
    await setHandle(third)

    await using socket = await queue.openEvents({ syncMarker: 'here' })
    await socket.messages.take(({ type }) => type === 'synchronization', 20_000, 'the marker')
    expect(handlesIn(socket.messages.all)).toEqual([second, third])
    expect(socket.messages.all.at(-1)).toMatchObject({ data: { marker_id: 'here' } })
    expect(socket.faults).toEqual([])
  })

  it('begins with what is new; what was there before is still to be fetched', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    await alice.sends(room, 'read')
    const { notification: since = '' } = await bob.receives('read')
    await bob.goesOffline()
    await alice.sends(room, 'unread')
    const capabilities = { json: { capabilities: ['consumable-notifications'] }, expect: 200 }
    await bob.client.request('PUT', `/clients/${bob.device}`, capabilities)
    await alice.sends(room, 'queued')

    // What Wire's clients do once, after they have declared that they acknowledge.
    const missed = await bob.client.notifications({ since })
    expect(missed.flatMap(({ payload }) => payload.flatMap(textOf))).toEqual(['unread', 'queued'])
    await using socket = await bob.client.openEvents({ syncMarker: 'here', isAcknowledging: true })
    await socket.messages.take(({ type }) => type === 'synchronization', 20_000, 'the marker')
    const queued = socket.messages.all.flatMap((message) =>
      message.type === 'event' ? message.data.event.payload.flatMap(textOf) : [],
    )
    expect(queued).toEqual(['queued'])
  })

  it("loses nothing when Wire's client begins to acknowledge", async () => {
    const alice = await person('alice', { kind: 'core' })
    const bob = await person('bob', { kind: 'core' })
    const room = await alice.connectsWith(bob)
    await alice.sends(room, 'live')
    await bob.receives('live')
    await bob.goesOffline()
    await alice.sends(room, 'while away')
    await bob.client.listen({ useLegacy: false })
    await bob.receives('while away')
    await alice.sends(room, 'queued')
    await bob.receives('queued')
    expect(bob.texts(room)).toEqual(['live', 'while away', 'queued'])
  })

  it('closes on an acknowledgement of what it never sent', async () => {
    const alice = await person('alice')
    const queue = await acknowledgingDevice(alice)
    await using socket = await queue.openEvents()
    socket.acknowledge(4_711)
    expect(await socket.closed).toMatchObject({ code: 1003 })
  })

  it('closes on what it cannot parse, a ping in text among it', async () => {
    const alice = await person('alice')
    const queue = await acknowledgingDevice(alice)
    await using socket = await queue.openEvents()
    socket.sendFrame('ping')
    expect(await socket.closed).toMatchObject({ code: 1003 })
  })
})
