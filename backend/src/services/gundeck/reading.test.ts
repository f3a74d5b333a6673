import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ApiError } from '../../contract/error.ts'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import { formatTimestamp } from '../../contract/ids.ts'
import { ticksOfMs } from '../../platform/time-uuid.ts'
import { positionAfter } from './rules/notification-id.ts'
import {
  fetchPage,
  newClient,
  newUser,
  pushTo,
  send,
  startTestGundeck,
  textsOf,
} from './testing/test-gundeck.ts'
import type { Shown, TestGundeck } from './testing/test-gundeck.ts'

const dayMs = 24 * 60 * 60 * 1000
const connection = '1' as ConnectionId

async function statusOf(call: Promise<unknown>): Promise<number> {
  try {
    await call
    return 200
  } catch (error) {
    if (error instanceof ApiError) return error.declaration.status
    throw error
  }
}

async function last(gundeck: TestGundeck, user: UserId, client?: ClientId): Promise<Shown> {
  const caller = { user, client: undefined, connection }
  const { body } = await gundeck.client.getLastNotification({ caller, query: { client } })
  return JSON.parse(body) as Shown
}

async function one(gundeck: TestGundeck, user: UserId, id: string, client?: ClientId) {
  const caller = { user, client: undefined, connection }
  const { body } = await gundeck.client.getNotification({
    caller,
    params: { id },
    query: { client },
  })
  return JSON.parse(body) as Shown
}

describe('a page of notifications', () => {
  it('is empty for an inbox in which nothing ever was', async () => {
    const gundeck = await startTestGundeck()
    expect(await fetchPage(gundeck, newUser())).toEqual({
      notifications: [],
      has_more: false,
      time: formatTimestamp(gundeck.clock.nowMs()),
    })
  })

  it('goes on after a known one, in as many pages as it takes', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const texts = Array.from({ length: 250 }, (_, index) => String(index))
    for (const text of texts) await send(gundeck, bob, pushTo(bob, text))
    const first = await fetchPage(gundeck, bob, { size: 100 })
    expect(first.notifications).toHaveLength(100)
    expect(first.has_more).toBe(true)
    const second = await fetchPage(gundeck, bob, {
      since: first.notifications[99]?.id ?? '',
      size: 100,
    })
    expect(second.has_more).toBe(true)
    const third = await fetchPage(gundeck, bob, {
      since: second.notifications[99]?.id ?? '',
      size: 100,
    })
    expect(third.has_more).toBe(false)
    const all = [first, second, third].flatMap(({ notifications }) => notifications)
    expect(all.map(({ payload }) => payload[0]?.['text'])).toEqual(texts)
    const exact = await fetchPage(gundeck, bob, { since: all[149]?.id ?? '', size: 100 })
    expect(exact.notifications).toHaveLength(100)
    expect(exact.has_more).toBe(false)
  })

  it('is filled after filtering by client', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const [phone, laptop] = [newClient(), newClient()]
    for (let index = 0; index < 300; index += 1) {
      const client = index % 3 === 0 ? phone : laptop
      await send(
        gundeck,
        bob,
        pushTo(bob, String(index), { recipients: [{ user: bob, clients: [client] }] }),
      )
    }
    const page = await fetchPage(gundeck, bob, { client: phone, size: 100 })
    expect(page.notifications).toHaveLength(100)
    expect(page.has_more).toBe(false)
    const none = await fetchPage(gundeck, bob, { client: newClient(), size: 100 })
    expect(none).toMatchObject({ notifications: [], has_more: false })
  })

  it('is cut at some five megabytes, but never empty', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const sizes = [6_000_000, 2_000_000, 2_000_000, 2_000_000]
    for (const size of sizes) await send(gundeck, bob, pushTo(bob, 'x'.repeat(size)))
    const lengths: number[] = []
    let since: string | undefined
    for (let more = true; more;) {
      const page = await fetchPage(gundeck, bob, since === undefined ? {} : { since })
      lengths.push(page.notifications.length)
      since = page.notifications.at(-1)?.id
      more = page.has_more
    }
    expect(lengths).toEqual([1, 2, 1])
  })

  it('refuses what is not a time UUID, and a size out of bounds', async () => {
    const gundeck = await startTestGundeck()
    for (const query of [{ since: randomUUID() }, { since: 'x' }, { size: 99 }, { size: 10_001 }]) {
      await expect(fetchPage(gundeck, newUser(), query)).rejects.toThrow(/since|size/)
    }
  })

  it('is 404 after an id that is not of this inbox', async () => {
    const gundeck = await startTestGundeck()
    const [bob, carol] = [newUser(), newUser()]
    await send(gundeck, bob, pushTo(bob, 'text'))
    const { id } = await last(gundeck, bob)
    expect(await statusOf(fetchPage(gundeck, bob, { since: id }))).toBe(200)
    expect(await statusOf(fetchPage(gundeck, bob, { since: id.toUpperCase() }))).toBe(200)
    expect(await statusOf(fetchPage(gundeck, carol, { since: id }))).toBe(404)
    const foreign = positionAfter(ticksOfMs(gundeck.clock.nowMs()))
    expect(await statusOf(fetchPage(gundeck, bob, { since: foreign }))).toBe(404)
  })

  it('is 404 after an id of more than 28 days, whose successors may have expired', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'old'))
    const { id } = await last(gundeck, bob)
    gundeck.clock.setNow(gundeck.clock.nowMs() + 28 * dayMs)
    expect(await statusOf(fetchPage(gundeck, bob, { since: id }))).toBe(200)
    gundeck.clock.setNow(gundeck.clock.nowMs() + 1000)
    expect(await statusOf(fetchPage(gundeck, bob, { since: id }))).toBe(404)
    expect(await textsOf(gundeck, bob)).toEqual([])
  })
})

describe('single notifications', () => {
  it('are found by their id, for a client that may see them', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = newClient()
    await send(gundeck, bob, pushTo(bob, 'text', { recipients: [{ user: bob, clients: [phone] }] }))
    const shown = await last(gundeck, bob)
    expect(await one(gundeck, bob, shown.id)).toEqual(shown)
    expect(await one(gundeck, bob, shown.id, phone)).toEqual(shown)
    expect(await statusOf(one(gundeck, bob, shown.id, newClient()))).toBe(404)
    expect(await statusOf(one(gundeck, newUser(), shown.id))).toBe(404)
    expect(await statusOf(one(gundeck, bob, randomUUID()))).toBe(404)
  })

  it('are the newest that the client may see, also over buckets', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const [phone, laptop] = [newClient(), newClient()]
    expect(await statusOf(last(gundeck, bob))).toBe(404)
    await send(
      gundeck,
      bob,
      pushTo(bob, 'phone', { recipients: [{ user: bob, clients: [phone] }] }),
    )
    gundeck.clock.setNow(gundeck.clock.nowMs() + 2 * dayMs)
    for (let index = 0; index < 15; index += 1) {
      await send(
        gundeck,
        bob,
        pushTo(bob, 'laptop', { recipients: [{ user: bob, clients: [laptop] }] }),
      )
    }
    expect((await last(gundeck, bob, phone)).payload[0]).toMatchObject({ text: 'phone' })
    expect((await last(gundeck, bob)).payload[0]).toMatchObject({ text: 'laptop' })
    expect(await statusOf(last(gundeck, bob, newClient()))).toBe(404)
  })
})

it('tells the time', async () => {
  const gundeck = await startTestGundeck()
  const caller = { user: newUser(), client: undefined, connection }
  const { body } = await gundeck.client.getServerTime({ caller })
  expect(body).toEqual({ time: formatTimestamp(gundeck.clock.nowMs()) })
})

it('tells brig that a client fetched something, at most once an hour', async () => {
  const touched: unknown[] = []
  const gundeck = await startTestGundeck({ onTouch: (body) => touched.push(body) })
  const bob = newUser()
  const client = newClient()
  await fetchPage(gundeck, bob, { client })
  await fetchPage(gundeck, bob, { client })
  await fetchPage(gundeck, bob)
  expect(touched).toEqual([{ user: bob, client, atMs: gundeck.clock.nowMs() }])
})
