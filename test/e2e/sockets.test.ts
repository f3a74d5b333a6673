import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { openAwaitSocket } from '../support/wire/raw-socket.ts'
import { roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

const rename = ({ client }: Somebody, name: string) =>
  client.request('PUT', '/self', { json: { name }, expect: 200 })

const isRenaming =
  (name: string) =>
  (event: { readonly [field: string]: unknown }): boolean =>
    event['type'] === 'user.update' && (event['user'] as { name?: string }).name === name

inBothShapes(({ person, stranger, backend }) => {
  /** Two people who hear when the other changes. */
  async function friends(): Promise<{ alice: Somebody; bob: Somebody }> {
    const [alice, bob] = await Promise.all([person('alice'), person('bob', { isOnline: false })])
    await alice.connectsWith(bob)
    return { alice, bob }
  }

  it('gives way to a newer one of the same connection', async () => {
    const { alice, bob } = await friends()
    await using first = await bob.client.openAwait()
    await using second = await bob.client.openAwait()
    await first.closed
    await rename(alice, 'Alice II')
    await second.receives(isRenaming('Alice II'))
    expect(first.events.all).toEqual([])
  })

  it('lives beside another one with an access token of its own', async () => {
    const { alice, bob } = await friends()
    const { token = '' } = bob.client
    const { access_token: other } = await bob.client.access({ withToken: false })
    await using first = await bob.client.openAwait({ token })
    await using second = await bob.client.openAwait({ token: other })
    await rename(alice, 'Alice III')
    for (const socket of [first, second]) await socket.receives(isRenaming('Alice III'))
  })

  it('does not repeat to a connection what it did itself; the catch-up does', async () => {
    const { alice, bob } = await friends()
    const room = await alice.creates('Lunch', [bob])
    await alice.client.request('PUT', `${roomPath(room)}/name`, { json: { name: 'Dinner' } })
    await rename(bob, 'Bobby')
    await alice.sees(isRenaming('Bobby'))
    const live = alice.heard().map(({ type }) => type)
    expect(live).not.toContain('conversation.create')
    expect(live).not.toContain('conversation.rename')

    const stored = await alice.client.notifications()
    const types = stored.flatMap(({ payload }) => payload.map(({ type }) => type))
    expect(types).toContain('conversation.create')
    expect(types).toContain('conversation.rename')
  })

  it('shows events with the ids and bytes that the catch-up has', async () => {
    const { alice, bob } = await friends()
    await using socket = await bob.client.openAwait()
    const name = 'Ælfgifu 👑 "Grüße" \u2028 \\'
    await rename(alice, name)
    const live = await socket.receives(isRenaming(name))
    expect(socket.faults).toEqual([])
    const [stored] = (await bob.client.notifications()).slice(-1)
    expect(stored).toEqual({ id: live.notification, payload: [live.event] })
  })

  it('answers pings in text and in bytes', async () => {
    const { bob } = await friends()
    await using socket = await bob.client.openAwait()
    await socket.ping()
    socket.sendFrame(Buffer.from('ping'))
    await socket.ping()
  })

  it('takes the token in the query or in a header, and needs a good one', async () => {
    const alice = await person('alice', { isOnline: false })
    for (const token of ['', 'nonsense']) {
      await expect(alice.client.openAwait({ token })).rejects.toMatchObject({ status: 401 })
    }
    const cookie = alice.client.jar.get('zuid')?.value ?? ''
    await expect(alice.client.openAwait({ token: cookie })).rejects.toMatchObject({ status: 403 })
    const { url, ws = url } = backend()
    const address = `${ws.replace(/^http/, 'ws')}/await?client=${alice.device}`
    const headers = { authorization: `Bearer ${alice.client.token ?? ''}` }
    await using socket = await openAwaitSocket(address, { name: 'kalium', headers })
    await socket.ping()
  })

  it('gets only what is for its device, or for all', async () => {
    const { alice, bob } = await friends()
    const room = await alice.connectsWith(bob)
    const phone = await bob.takesAnotherDevice()
    await bob.comesOnline()
    const { domain, id } = bob.user
    const recipients = { [domain]: { [id]: { [phone.device]: Buffer.from('for the phone') } } }
    await alice.client.sendOtr(room.id, { recipients, strategy: 'ignore-all' }, { expect: 201 })
    await phone.receives('for the phone')
    await rename(alice, 'Alice IV')
    await bob.sees(isRenaming('Alice IV'))
    expect(bob.texts()).toEqual([])
  })

  it('misses nothing when its network goes away', async () => {
    const { alice, bob } = await friends()
    const socket = await bob.client.openAwait()
    await rename(alice, 'before')
    const { notification: since } = await socket.receives(isRenaming('before'))
    socket.terminate()
    await rename(alice, 'between')
    await using again = await bob.client.openAwait()
    await rename(alice, 'after')
    await again.receives(isRenaming('after'))
    const missed = await bob.client.notifications({ since })
    const names = missed.flatMap(({ payload }) =>
      payload.map((event) => (event['user'] as { name?: string }).name),
    )
    expect(names).toEqual(['between', 'after'])
  })

  it("is opened again by Wire's client, which goes on", async () => {
    const alice = await person('alice')
    const bob = await person('bob', { kind: 'api' })
    const room = await alice.connectsWith(bob)
    // The same connection once more, from elsewhere: the library's socket is closed for it.
    const thief = stranger()
    const { accessTokenData } = bob.client.api['accessTokenStore']
    thief.token = accessTokenData?.access_token
    const socket = await thief.openAwait({ device: bob.device })
    await socket.closed
    await alice.sends(room, 'Still there?')
    await bob.receives('Still there?')
  })
})
