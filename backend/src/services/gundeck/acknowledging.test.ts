import { describe, expect, it } from 'vitest'
import type { ClientId, NotificationId, UserId } from '../../contract/ids.ts'
import { compareTimeUuid } from '../../platform/time-uuid.ts'
import {
  attach,
  fetchPage,
  newClient,
  newUser,
  pushTo,
  send,
  settle,
  startTestGundeck,
  textsOf,
} from './testing/test-gundeck.ts'
import type { TestGundeck } from './testing/test-gundeck.ts'

const dayMs = 24 * 60 * 60 * 1000

async function openClient(gundeck: TestGundeck, user: UserId, isAcknowledging: boolean) {
  const client = newClient()
  await gundeck.client.openClientInbox({ params: { user, client }, body: { isAcknowledging } })
  return client
}

async function queueOf(gundeck: TestGundeck, user: UserId, client: ClientId) {
  const { body } = await gundeck.client.openQueue({ params: { user, client } })
  return body.queue
}

async function acknowledge(
  gundeck: TestGundeck,
  user: UserId,
  client: ClientId,
  cursor: NotificationId,
  acknowledged: NotificationId[] = [],
) {
  await gundeck.client.acknowledge({
    body: { acknowledgements: [{ user, client, cursor, acknowledged }] },
  })
}

async function sendAll(gundeck: TestGundeck, user: UserId, texts: readonly string[]) {
  for (const text of texts) await send(gundeck, user, pushTo(user, text))
  return (await fetchPage(gundeck, user)).notifications.map(({ id }) => id)
}

describe('a queue', () => {
  it('begins where the inbox was when its client was made', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const [before = ''] = await sendAll(gundeck, bob, ['before'])
    const phone = await openClient(gundeck, bob, true)
    const queue = await queueOf(gundeck, bob, phone)
    expect(queue).toMatchObject({ acknowledged: [], hasMissed: false })
    const [, after = ''] = await sendAll(gundeck, bob, ['after'])
    expect(compareTimeUuid(before, queue?.cursor ?? '')).toBeLessThan(0)
    expect(compareTimeUuid(queue?.cursor ?? '', after)).toBeLessThan(0)
  })

  it('is there only for clients that exist and acknowledge', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const laptop = await openClient(gundeck, bob, false)
    expect(await queueOf(gundeck, bob, laptop)).toBeUndefined()
    expect(await queueOf(gundeck, bob, newClient())).toBeUndefined()
    const params = { user: bob, client: laptop }
    await gundeck.client.openClientInbox({ params, body: { isAcknowledging: true } })
    expect(await queueOf(gundeck, bob, laptop)).toBeDefined()
    await gundeck.client.closeClientInbox({ params })
    expect(await queueOf(gundeck, bob, laptop)).toBeUndefined()
  })

  it('goes on behind what was acknowledged, and never back', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const [a, b, c, d] = await sendAll(gundeck, bob, ['a', 'b', 'c', 'd'])
    if (!a || !b || !c || !d) throw new Error('four were sent')
    await acknowledge(gundeck, bob, phone, a, [c])
    expect(await queueOf(gundeck, bob, phone)).toMatchObject({ cursor: a, acknowledged: [c] })
    await acknowledge(gundeck, bob, phone, b, [d])
    expect(await queueOf(gundeck, bob, phone)).toMatchObject({ cursor: b, acknowledged: [c, d] })
    await acknowledge(gundeck, bob, phone, a)
    expect(await queueOf(gundeck, bob, phone)).toMatchObject({ cursor: b, acknowledged: [c, d] })
    await acknowledge(gundeck, bob, phone, d)
    expect(await queueOf(gundeck, bob, phone)).toMatchObject({ cursor: d, acknowledged: [] })
  })

  it('keeps its cursor over a restart', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const [a] = await sendAll(gundeck, bob, ['a', 'b'])
    if (!a) throw new Error('two were sent')
    await acknowledge(gundeck, bob, phone, a)
    const next = await gundeck.restart()
    expect(await queueOf(next, bob, phone)).toMatchObject({ cursor: a })
    // Opening a client that is there already is what a repeated call does.
    const params = { user: bob, client: phone }
    await next.client.openClientInbox({ params, body: { isAcknowledging: true } })
    expect(await queueOf(next, bob, phone)).toMatchObject({ cursor: a })
  })

  it('says so when something expired unseen, until the client has synchronised', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    await sendAll(gundeck, bob, ['expires'])
    gundeck.clock.setNow(gundeck.clock.nowMs() + 29 * dayMs)
    await sendAll(gundeck, bob, ['fresh'])
    const queue = await queueOf(gundeck, bob, phone)
    expect(queue?.hasMissed).toBe(true)
    if (!queue) throw new Error('there is a queue')
    await gundeck.client.acknowledge({
      body: {
        acknowledgements: [
          {
            user: bob,
            client: phone,
            cursor: queue.cursor,
            acknowledged: [],
            hasSynchronised: true,
          },
        ],
      },
    })
    expect((await queueOf(gundeck, bob, phone))?.hasMissed).toBe(false)
    const { body } = await gundeck.client.readInbox({
      params: { user: bob },
      body: {
        after: (await queueOf(gundeck, bob, phone))?.cursor ?? queue.cursor,
        client: phone,
        limit: 10,
        limitBytes: 10_000,
      },
    })
    expect(body.rows).toHaveLength(1)
  })

  it('of a client without messages does not look as if some had expired', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const [a] = await sendAll(gundeck, bob, ['a'])
    if (!a) throw new Error('one was sent')
    await acknowledge(gundeck, bob, phone, a)
    for (let week = 0; week < 8; week += 1) {
      gundeck.clock.setNow(gundeck.clock.nowMs() + 7 * dayMs)
      await send(gundeck, newUser(), pushTo(newUser(), 'others go on'))
      expect((await queueOf(gundeck, bob, phone))?.hasMissed).toBe(false)
    }
  })
})

describe('erasing', () => {
  it('follows the slowest client when all acknowledge', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const laptop = await openClient(gundeck, bob, true)
    const [a, b, c] = await sendAll(gundeck, bob, ['a', 'b', 'c'])
    if (!a || !b || !c) throw new Error('three were sent')
    await acknowledge(gundeck, bob, phone, c)
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual(['a', 'b', 'c'])
    await acknowledge(gundeck, bob, laptop, b)
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual(['c'])
    await gundeck.client.closeClientInbox({ params: { user: bob, client: laptop } })
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual([])
    // An id that was erased is still one to go on from.
    expect((await fetchPage(gundeck, bob, { since: a })).notifications).toEqual([])
  })

  it('spares what a client has to fetch from before its queue, until it has moved on', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, false)
    const laptop = await openClient(gundeck, bob, false)
    const [a] = await sendAll(gundeck, bob, ['a', 'b'])
    if (!a) throw new Error('two were sent')
    const params = { user: bob, client: phone }
    await gundeck.client.openClientInbox({ params, body: { isAcknowledging: true } })
    await gundeck.client.closeClientInbox({ params: { user: bob, client: laptop } })
    await gundeck.clock.advance(2000)
    await settle()
    const page = await fetchPage(gundeck, bob, { client: phone, since: a })
    expect(page.notifications).toHaveLength(1)

    const [, , c] = await sendAll(gundeck, bob, ['c'])
    if (!c) throw new Error('three were sent')
    await acknowledge(gundeck, bob, phone, c)
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual([])
  })

  it('is made up for when its client comes back after a kill', async () => {
    const killed = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(killed, bob, true)
    const [a] = await sendAll(killed, bob, ['a'])
    if (!a) throw new Error('one was sent')
    await acknowledge(killed, bob, phone, a)
    await killed.stop()
    const gundeck = await killed.restart()
    await gundeck.clock.advance(2000)
    expect(await textsOf(gundeck, bob)).toEqual(['a'])
    await queueOf(gundeck, bob, phone)
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual([])
  })

  it('is tried again when the store was not able to', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const [a] = await sendAll(gundeck, bob, ['a'])
    if (!a) throw new Error('one was sent')
    await acknowledge(gundeck, bob, phone, a)
    gundeck.store.fault = () => 'refused'
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual(['a'])
    gundeck.store.fault = () => undefined
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual([])
  })

  it('leaves everything to those who do not acknowledge', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    await openClient(gundeck, bob, false)
    const [a] = await sendAll(gundeck, bob, ['a'])
    if (!a) throw new Error('one was sent')
    await acknowledge(gundeck, bob, phone, a)
    await gundeck.clock.advance(2000)
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual(['a'])
    // For the client itself it is gone at once.
    expect((await fetchPage(gundeck, bob, { client: phone })).notifications).toEqual([])
  })

  it('hides what a client acknowledged out of order from that client alone', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    const laptop = await openClient(gundeck, bob, true)
    const ids = await sendAll(gundeck, bob, ['a', 'b', 'c'])
    const [a, b, c] = ids
    if (!a || !b || !c) throw new Error('three were sent')
    await acknowledge(gundeck, bob, phone, a, [c])
    const idsFor = async (client: ClientId) =>
      (await fetchPage(gundeck, bob, { client })).notifications.map(({ id }) => id)
    expect(await idsFor(phone)).toEqual([b])
    expect(await idsFor(laptop)).toEqual(ids)
  })

  it('of a whole user leaves nothing', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = await openClient(gundeck, bob, true)
    await sendAll(gundeck, bob, ['a', 'b'])
    const { number } = await attach(gundeck, bob)
    await gundeck.client.closeInbox({ params: { user: bob } })
    await settle()
    expect(await textsOf(gundeck, bob)).toEqual([])
    expect(await queueOf(gundeck, bob, phone)).toBeUndefined()
    expect(gundeck.closed).toEqual([{ attachment: number, reason: 'user-removed' }])
  })
})
