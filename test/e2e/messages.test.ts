import { expect, it } from 'vitest'

import type { Person, Room } from '../support/wire/cast.ts'
import { encodeOtrMessage, sameForAll, type Recipients } from '../support/wire/otr-message.ts'
import type { DeviceMap } from '../support/wire/raw.ts'
import { memberPath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>
type Device = Pick<Somebody, 'user' | 'device'>

function devices(...people: readonly Device[]): DeviceMap {
  const map: Record<string, Record<string, string[]>> = {}
  for (const { user, device } of people) {
    const users = (map[user.domain] ??= {})
    const known = (users[user.id] ??= [])
    known.push(device)
    known.sort()
  }
  return map
}

const to = (text: string, ...people: readonly Device[]): Recipients =>
  sameForAll(devices(...people), text)

/** What a send answers, with each list of devices in order. */
const outcome = (
  lists: Partial<Record<'missing' | 'redundant' | 'deleted', DeviceMap>> = {},
): object => ({ missing: {}, redundant: {}, deleted: {}, failed_to_send: {}, ...lists })

inBothShapes(({ person }) => {
  async function lunch(): Promise<Record<'alice' | 'bob' | 'carol', Somebody> & { room: Room }> {
    const [alice, bob, carol] = await Promise.all([person('alice'), person('bob'), person('carol')])
    const room = await alice.creates('Lunch', [bob, carol])
    return { alice, bob, carol, room }
  }

  it('is delivered to nobody while the sender knows too few devices', async () => {
    const { alice, bob, carol, room } = await lunch()
    const early = await alice.client.sendOtr(room.id, { recipients: to('early', bob) })
    expect(early).toMatchObject({ status: 412, json: outcome({ missing: devices(carol) }) })
    const whole = await alice.client.sendOtr(room.id, { recipients: to('whole', bob, carol) })
    expect(whole).toMatchObject({ status: 201, json: outcome() })
    for (const listener of [bob, carol]) await listener.receives('whole')
    expect(bob.texts()).toEqual(['whole'])
  })

  it('says the same time to sender and recipients', async () => {
    const { alice, bob, carol, room } = await lunch()
    const sent = await alice.client.sendOtr(room.id, { recipients: to('now', bob, carol) })
    const heard = await Promise.all([bob, carol].map((listener) => listener.receives('now')))
    for (const { event } of heard) {
      expect(event).toMatchObject({ data: { sender: alice.device }, qualified_from: alice.user })
    }
    expect(heard.map(({ event }) => event.time)).toContain(sent.json.time)
  })

  it('reaches a device that is new since, once the sender has learned of it', async () => {
    const { alice, bob, carol, room } = await lunch()
    await alice.sends(room, 'before')
    const tablet = await bob.takesAnotherDevice()
    const recipients = to('after', bob, carol)
    expect(await alice.client.sendOtr(room.id, { recipients })).toMatchObject({
      status: 412,
      json: outcome({ missing: devices(tablet) }),
    })
    await alice.sends(room, 'after')
    for (const listener of [bob, carol, tablet]) await listener.receives('after')
    expect(tablet.texts()).toEqual(['after'])
  })

  it('names devices that are gone and people who left, and goes to the others', async () => {
    const { alice, bob, carol, room } = await lunch()
    const tablet = await bob.takesAnotherDevice()
    const json = { password: bob.password }
    await bob.client.request('DELETE', `/clients/${tablet.device}`, { json, expect: 200 })
    await carol.leaves(room)
    const recipients = to('still here?', bob, tablet, carol, alice)
    expect(await alice.client.sendOtr(room.id, { recipients })).toMatchObject({
      status: 201,
      json: outcome({ deleted: devices(tablet), redundant: devices(carol, alice) }),
    })
    await bob.receives('still here?')
    expect(carol.texts()).toEqual([])
  })

  it('reports only the missing devices that the sender cares about', async () => {
    const { alice, bob, carol, room } = await lunch()
    const send = (text: string, strategy: Parameters<typeof alice.client.sendOtr>[1]['strategy']) =>
      alice.client.sendOtr(room.id, { recipients: to(text, bob), strategy })

    expect(await send('all', 'report-all')).toMatchObject({ status: 412 })
    expect(await send('none', 'ignore-all')).toMatchObject({ status: 201, json: outcome() })
    expect(await send('Bob', { reportOnly: [bob.user] })).toMatchObject({ status: 201 })
    expect(await send('Carol', { reportOnly: [carol.user] })).toMatchObject({
      status: 412,
      json: outcome({ missing: devices(carol) }),
    })
    expect(await send('but Carol', { ignoreOnly: [carol.user] })).toMatchObject({ status: 201 })
    expect(await send('but Bob', { ignoreOnly: [bob.user] })).toMatchObject({ status: 412 })
    expect((await send('no strategy', undefined)).status).toBe(400)
    for (const text of ['none', 'Bob', 'but Carol']) await bob.receives(text)
    expect(bob.texts()).toEqual(['none', 'Bob', 'but Carol'])
  })

  it("is made to agree by Wire's own client", async () => {
    const alice = await person('alice', { kind: 'core' })
    const bob = await person('bob', { kind: 'core' })
    const room = await alice.connectsWith(bob)
    await alice.sends(room, 'to one device')
    await bob.receives('to one device')
    const tablet = await bob.takesAnotherDevice()
    expect(await alice.client.sendText(room.id, 'to two')).toMatchObject({ hadMismatch: true })
    for (const listener of [bob, tablet]) await listener.receives('to two')
    expect(await alice.client.sendText(room.id, 'again')).toMatchObject({ hadMismatch: false })
    for (const listener of [bob, tablet]) await listener.receives('again')
  })

  it('carries what all recipients share beside what is each one’s own', async () => {
    const { alice, bob, carol, room } = await lunch()
    const message = { recipients: to('key', bob, carol), blob: Buffer.from('the shared part') }
    expect((await alice.client.sendOtr(room.id, message)).status).toBe(201)
    for (const listener of [bob, carol]) {
      const { event } = await listener.receives('key')
      const { data } = event.data as { data: string }
      expect(Buffer.from(data, 'base64').toString()).toBe('the shared part')
    }
  })

  it('is kept for nobody when it is transient', async () => {
    const { alice, bob, carol, room } = await lunch()
    await carol.goesOffline()
    const recipients = to('in passing', bob, carol)
    await alice.client.sendOtr(room.id, { recipients, transient: true }, { expect: 201 })
    await bob.receives('in passing')
    await carol.comesOnline()
    await alice.sends(room, 'to stay')
    await carol.receives('to stay')
    expect(carol.texts()).toEqual(['to stay'])
  })

  it('needs a device that is the sender’s own, and a room that they are in', async () => {
    const { alice, bob, carol, room } = await lunch()
    const recipients = to('hello', bob, carol)
    expect(await alice.client.sendOtr(room.id, { recipients, sender: bob.device })).toMatchObject(
      refused(403, 'unknown-client'),
    )
    const unknown = { ...room.id, id: crypto.randomUUID() }
    expect(await alice.client.sendOtr(unknown, { recipients })).toMatchObject(
      refused(404, 'no-conversation'),
    )
    const dave = await person('dave')
    expect(await dave.client.sendOtr(room.id, { recipients })).toMatchObject(
      refused(404, 'no-conversation'),
    )
  })

  it('keeps the order in which each sender sent', async () => {
    const { alice, bob, carol, room } = await lunch()
    const texts = Array.from({ length: 20 }, (_, index) => `message ${String(index)}`)
    const speak = async (speaker: Somebody): Promise<void> => {
      for (const text of texts) await speaker.sends(room, text)
    }
    await Promise.all([speak(alice), speak(bob)])
    for (const speaker of [alice, bob]) {
      for (const text of texts) await carol.receives(text, { from: speaker })
    }
    const bySpeaker = Object.groupBy(
      carol.heard().filter(({ type }) => type === 'conversation.otr-message-add'),
      ({ qualified_from: from }) => from?.id ?? '',
    )
    for (const { user } of [alice, bob]) {
      const heard = (bySpeaker[user.id] ?? []).map(({ data }) =>
        Buffer.from((data as { text: string }).text, 'base64').toString(),
      )
      expect(heard).toEqual(texts)
    }
    const times = carol.heard().flatMap(({ time }) => time ?? [])
    expect(times).toEqual(times.toSorted())
  })

  it('can be sent in the older form', async () => {
    const { alice, bob, carol, room } = await lunch()
    const text = Buffer.from('as before').toString('base64')
    const recipientsOf = (...people: readonly Device[]) =>
      Object.fromEntries(people.map(({ user, device }) => [user.id, { [device]: text }]))
    const send = (...people: readonly Device[]) =>
      alice.client.request('POST', `/conversations/${room.id.id}/otr/messages`, {
        json: { sender: alice.device, recipients: recipientsOf(...people) },
      })
    expect(await send(bob)).toMatchObject({
      status: 412,
      json: { missing: { [carol.user.id]: [carol.device] }, redundant: {}, deleted: {} },
    })
    expect((await send(bob, carol)).status).toBe(201)
    for (const listener of [bob, carol]) await listener.receives('as before')
  })

  it('goes to all contacts as a broadcast, into their own conversation', async () => {
    const [alice, bob, carol, dave] = await Promise.all([
      person('alice'),
      person('bob'),
      person('carol'),
      person('dave'),
    ])
    for (const friend of [bob, carol]) await alice.connectsWith(friend)
    const phone = await alice.takesAnotherDevice()
    const send = (...people: readonly Device[]) =>
      alice.client.request('POST', '/broadcast/proteus/messages', {
        body: encodeOtrMessage({ sender: alice.device, recipients: to('away', ...people) }),
        contentType: 'application/x-protobuf',
      })
    expect(await send(bob)).toMatchObject({
      status: 412,
      json: outcome({ missing: devices(carol, phone) }),
    })
    expect(await send(bob, carol, phone, dave)).toMatchObject({
      status: 201,
      json: outcome({ redundant: devices(dave) }),
    })
    for (const listener of [bob, carol, phone]) {
      const { event } = await listener.receives('away')
      expect(event.qualified_conversation).toEqual(listener.user)
    }
    const text = Buffer.from('gone').toString('base64')
    const recipients = Object.fromEntries(
      [bob, carol, phone].map(({ user, device }) => [user.id, { [device]: text }]),
    )
    const json = { sender: alice.device, recipients }
    expect((await alice.client.request('POST', '/broadcast/otr/messages', { json })).status).toBe(
      201,
    )
    await carol.receives('gone')
    expect(dave.texts()).toEqual([])
  })

  it('reaches nobody who was removed in between', async () => {
    const { alice, bob, carol, room } = await lunch()
    await alice.sends(room, 'to all')
    await carol.receives('to all')
    await alice.client.request('DELETE', memberPath(room, carol), { expect: 200 })
    await alice.sends(room, 'to Bob')
    await bob.receives('to Bob')
    await bob.connectsWith(carol)
    await carol.sees('user.connection')
    expect(carol.texts()).toEqual(['to all'])
    expect(await carol.client.request('GET', roomPath(room))).toMatchObject({ status: 403 })
  })
})
