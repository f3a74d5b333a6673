import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { RawReply } from '../support/wire/raw.ts'
import type { WireNotification } from '../support/wire/raw-socket.ts'
import { refused } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface Page {
  readonly notifications: readonly WireNotification[]
  readonly has_more: boolean
  readonly time: string
}

const read = ({ client }: Somebody, query: object = {}): Promise<RawReply<Page>> =>
  client.request<Page>('GET', '/notifications', { query: { ...query } })

/** Fills the inbox, each notification with a number of its own. */
async function setProperties({ client }: Somebody, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const request = { json: number, expect: 200 }
    await client.request('PUT', '/properties/counter', request)
  }
}

const numbersIn = (notifications: readonly WireNotification[]): unknown[] =>
  notifications.flatMap(({ payload }) =>
    payload.flatMap((event) => (event.type === 'user.properties-set' ? [event['value']] : [])),
  )

const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number)

inBothShapes(({ person }) => {
  it('comes in pages, in order, each notification once', async () => {
    const alice = await person('alice')
    await setProperties(alice, 120)
    const found: WireNotification[] = []
    for (let since: string | undefined, isMore = true; isMore; since = found.at(-1)?.id) {
      const { json } = await read(alice, { size: 100, since })
      expect(json.notifications.length).toBeLessThanOrEqual(100)
      expect(json.notifications).toHaveLength(json.has_more ? 100 : json.notifications.length)
      found.push(...json.notifications)
      isMore = json.has_more
    }
    expect(numbersIn(found)).toEqual(numbers(120))
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
    expect((await read(alice)).json).toMatchObject({ notifications: found, has_more: false })
  })

  it('goes on exactly after what is known', async () => {
    const alice = await person('alice')
    await setProperties(alice, 3)
    const { notifications } = (await read(alice)).json
    const [middle, last] = notifications.slice(-2)
    expect((await read(alice, { since: middle?.id })).json.notifications).toEqual([last])
    expect((await read(alice, { since: last?.id })).json).toMatchObject({
      notifications: [],
      has_more: false,
    })
  })

  it('says 404 to what it does not know, and 400 to what is not an id', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const [foreign] = (await read(bob)).json.notifications
    expect(await read(alice, { since: foreign?.id })).toMatchObject(refused(404, 'not-found'))
    const unknown = '00000000-0000-1000-8000-000000000000'
    expect(await read(alice, { since: unknown })).toMatchObject(refused(404, 'not-found'))
    for (const since of ['nonsense', crypto.randomUUID()]) {
      expect(await read(alice, { since })).toMatchObject(refused(400, 'bad-request'))
    }
    for (const size of [0, 99, 10_001]) {
      expect(await read(alice, { size })).toMatchObject(refused(400, 'bad-request'))
    }
  })

  it('shows a device what is for it, and to no device everything', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const phone = await bob.takesAnotherDevice()
    await alice.sends(room, 'Hello')
    const recipientsIn = (reply: RawReply<Page>): string[] =>
      reply.json.notifications
        .flatMap(({ payload }) => payload)
        .filter(({ type }) => type === 'conversation.otr-message-add')
        .map(({ data }) => (data as { recipient: string }).recipient)
    for (const { device } of [bob, phone]) {
      expect(recipientsIn(await read(bob, { client: device }))).toEqual([device])
    }
    expect(recipientsIn(await read(bob)).toSorted()).toEqual([bob.device, phone.device].toSorted())
  })

  it('gives the newest, and any one by its id', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    await setProperties(alice, 2)
    const { notifications } = (await read(alice)).json
    const [first] = notifications
    const newest = await alice.client.request('GET', '/notifications/last')
    expect(newest).toMatchObject({ status: 200, json: notifications.at(-1) })
    const path = `/notifications/${first?.id ?? ''}`
    expect(await alice.client.request('GET', path)).toMatchObject({ status: 200, json: first })
    expect(await bob.client.request('GET', path)).toMatchObject(refused(404, 'not-found'))
  })

  it("is read by Wire's client", async () => {
    const alice = await person('alice', { kind: 'api' })
    const { api } = alice.client
    for (const number of numbers(5)) {
      await api.api.user.putProperty('counter', number as unknown as Record<string, unknown>)
    }
    const all = await api.api.notification.getAllNotifications(alice.device)
    expect(numbersIn(all.notifications as unknown as WireNotification[])).toEqual(numbers(5))
  })

  it('holds what came while nobody listened, for each device once', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const phone = await bob.takesAnotherDevice()
    for (const device of [bob, phone]) await device.goesOffline()
    const texts = numbers(30).map((number) => `message ${String(number)}`)
    for (const text of texts) await alice.sends(room, text)
    for (const device of [bob, phone]) {
      await device.comesOnline()
      expect(device.texts(room)).toEqual(texts)
    }
    await bob.goesOffline()
    await bob.comesOnline()
    expect(bob.texts(room)).toEqual(texts)
  })

  it('tells the time of the server', async () => {
    const alice = await person('alice')
    const before = Date.now()
    const { json } = await alice.client.request<{ time: string }>('GET', '/time', { expect: 200 })
    // Of whole seconds, so it may lie a little before the question.
    expect(Date.parse(json.time)).toBeGreaterThan(before - 1_000)
    expect(Date.parse(json.time)).toBeLessThanOrEqual(Date.now() + 1_000)
  })
})
