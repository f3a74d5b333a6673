import { expect, it } from 'vitest'

import type { Person, Room } from '../support/wire/cast.ts'
import type { CoreEvent } from '../support/wire/core-calls.ts'
import { isSameId } from '../support/wire/wire-types.ts'
import { inBothShapes } from './shapes.ts'

const MEGABYTE = 1024 * 1024

type CorePerson = Person<'core'>
type Message<Kind extends CoreEvent['kind']> = CoreEvent & { kind: Kind }

async function hears<Kind extends 'asset' | 'confirmation' | 'text'>(
  person: CorePerson,
  kind: Kind,
  room: Room,
): Promise<Message<Kind>> {
  const event = await person.client.receives(
    (each) => each.kind === kind && isSameId(each.conversation, room.id),
  )
  return event as Message<Kind>
}

const troubles: ReadonlySet<string> = new Set(['defect', 'undecryptable', 'missed', 'signed-out'])

function troubleOf(person: CorePerson): CoreEvent[] {
  return person.client.events.seen(({ kind }) => troubles.has(kind))
}

inBothShapes(({ person }) => {
  /** Two strangers with Wire's whole client, registered through mailed codes, and their room. */
  async function friends(): Promise<{ alice: CorePerson; bob: CorePerson; room: Room }> {
    const [alice, bob] = await Promise.all([
      person('alice', { kind: 'core' }),
      person('bob', { kind: 'core' }),
    ])
    return { alice, bob, room: await alice.connectsWith(bob) }
  }

  it('lets two strangers meet and exchange texts, both ways and live', async () => {
    const { alice, bob, room } = await friends()
    const sent = await alice.sends(room, 'Hello Bob')
    const heard = await hears(bob, 'text', room)
    expect(heard).toMatchObject({
      text: 'Hello Bob',
      source: 'websocket',
      from: alice.user,
      senderDevice: alice.device,
      messageId: sent.messageId,
      time: sent.time,
    })
    await bob.sends(room, 'Grüße 👋 zurück')
    expect((await alice.receives('Grüße 👋 zurück', { from: bob })).source).toBe('websocket')
    expect([alice, bob].flatMap(troubleOf)).toEqual([])
  })

  it('keeps messages for a device that is offline, in order, each once', async () => {
    const { alice, bob, room } = await friends()
    await bob.goesOffline()
    const texts = ['one', 'two', 'three']
    for (const text of texts) await alice.sends(room, text)
    await bob.comesOnline()
    for (const text of texts) expect((await bob.receives(text)).source).toBe('catch-up')
    await alice.sends(room, 'four')
    expect((await bob.receives('four')).source).toBe('websocket')
    expect(bob.texts(room)).toEqual([...texts, 'four'])
    expect([alice, bob].flatMap(troubleOf)).toEqual([])
  })

  it('carries a text to every member of a group and to each of their devices', async () => {
    const { alice, bob } = await friends()
    const carol = await person('carol', { kind: 'core' })
    const group = await alice.creates('Lunch', [bob, carol])
    await Promise.all([bob, carol].map((person) => person.sees('conversation.create')))
    await carol.sends(group, 'Where?')
    await Promise.all([alice, bob].map((person) => person.receives('Where?', { in: group })))

    const tablet = await bob.takesAnotherDevice()
    const { hadMismatch } = await carol.client.sendText(group.id, 'Anyone?')
    expect(hadMismatch).toBe(true)
    const listeners = [alice, bob, tablet]
    await Promise.all(listeners.map((person) => person.receives('Anyone?', { in: group })))
    expect([alice, bob, carol, tablet].flatMap(troubleOf)).toEqual([])
  })

  it('carries an encrypted file of 5 MB byte for byte', async () => {
    const { alice, bob, room } = await friends()
    const sizeBytes = 5 * MEGABYTE
    const sent = await alice.client.uploadFile(room.id, { sizeBytes, name: 'menu.bin' })
    const { file, messageId } = await hears(bob, 'asset', room)
    expect(messageId).toBe(sent.messageId)
    expect(file).toEqual(sent.file)
    expect(file).toMatchObject({ name: 'menu.bin', sizeBytes })
    expect(await bob.client.downloadFile(sent.file)).toEqual({
      sizeBytes,
      plainSha256: sent.plainSha256,
    })
  })

  it('refuses a file to those who do not show its token', async () => {
    const { alice, bob, room } = await friends()
    const { file } = await alice.client.uploadFile(room.id, { sizeBytes: 1_000 })
    const withoutToken = { ...file, token: 'AAAAAAAAAAAAAAAAAAAAAA' }
    await expect(bob.client.downloadFile(withoutToken)).rejects.toMatchObject({ code: 404 })
  })

  it('tells the sender that a message was delivered and read', async () => {
    const { alice, bob, room } = await friends()
    const options = { expectsReadConfirmation: true }
    const { messageId } = await alice.client.sendText(room.id, 'Read me', options)
    const heard = await hears(bob, 'text', room)
    expect(heard.expectsReadConfirmation).toBe(true)
    for (const confirms of ['delivered', 'read'] as const) {
      await bob.client.sendConfirmation(room.id, [messageId], confirms)
      const confirmation = await hears(alice, 'confirmation', room)
      expect(confirmation).toMatchObject({ confirms, messageIds: [messageId], from: bob.user })
    }
  })

  it('lets a client sign out, sign in again as a new device and go on', async () => {
    const { alice, bob, room } = await friends()
    await bob.client.logout()
    await alice.sends(room, 'to the old device')
    await bob.client.login({ email: bob.email, password: bob.password })
    await bob.client.registerClient({ password: bob.password })
    await bob.client.initClient()
    await bob.client.listen()
    await alice.sends(room, 'to the new device')
    await bob.receives('to the new device')
    expect(bob.texts(room)).toEqual(['to the new device'])
    expect([alice, bob].flatMap(troubleOf)).toEqual([])
  })
})
