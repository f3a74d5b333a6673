import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openSqlite } from '../../backend/src/adapters/sqlite/wide-column.ts'
import { EventsFrame } from '../../backend/src/contract/events/notification.ts'
import type { Push } from '../../backend/src/contract/gundeck/internal.ts'
import type { ClientId, UserId } from '../../backend/src/contract/ids.ts'
import type { WideColumnStore } from '../../backend/src/ports/wide-column.ts'
import { newClient, newUser, startMessaging } from './messaging.ts'
import type { Messaging, MessagingOptions, TestSocket } from './messaging.ts'

const switchedOn: MessagingOptions = { cannonConfig: { consumableNotifications: true } }

interface Received {
  text: string
  id: string
  tag: number
}

async function sendTexts(
  messaging: Messaging,
  user: UserId,
  texts: readonly string[],
  more: Partial<Push> = {},
): Promise<void> {
  const pushes = texts.map((text) => ({
    requestId: randomUUID(),
    recipients: [{ user }],
    events: [{ type: 'test', text }],
    ...more,
  }))
  await messaging.push.push({ body: { pushes } })
}

async function newQueue(messaging: Messaging): Promise<{ user: UserId; client: ClientId }> {
  const place = { user: newUser(), client: newClient() }
  await messaging.inboxes.openClientInbox({ params: place, body: { isAcknowledging: true } })
  return place
}

let connections = 0
function open(
  messaging: Messaging,
  { user, client }: { user: UserId; client?: ClientId },
  more = '',
): Promise<TestSocket> {
  connections += 1
  const query = client === undefined ? '' : `client=${client}`
  return messaging.open(`/v15/events?${query}${more}`, messaging.token(user, String(connections)))
}

async function nextEvent(socket: TestSocket): Promise<Received> {
  const frame = EventsFrame.parse(await socket.next())
  if (frame.type !== 'event') throw new Error(`a ${frame.type} came`)
  const { event, delivery_tag: tag } = frame.data
  return { text: String(event.payload[0]?.['text']), id: event.id, tag }
}

async function nextEvents(socket: TestSocket, count: number): Promise<Received[]> {
  const events: Received[] = []
  while (events.length < count) events.push(await nextEvent(socket))
  return events
}

const textsOf = (events: readonly Received[]): string[] => events.map(({ text }) => text)

function acknowledge(socket: TestSocket, tag: number, multiple = false): void {
  socket.ws.send(JSON.stringify({ type: 'ack', data: { delivery_tag: tag, multiple } }))
}

/** The same store, which answers later. */
function delayed(db: WideColumnStore, delayMs: () => number): WideColumnStore {
  return new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]): Promise<unknown> => {
        if (delayMs() > 0) await sleep(delayMs())
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
}

/** Closes, once everything sent before was handled. */
async function leave(socket: TestSocket): Promise<void> {
  socket.ws.close()
  await socket.closed
}

describe('a queue over /events', () => {
  it('gives what waited, then what comes, with rising tags', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['a', 'b'])
    const socket = await open(messaging, place)
    expect(await nextEvents(socket, 2)).toMatchObject([
      { text: 'a', tag: 1 },
      { text: 'b', tag: 2 },
    ])
    await sendTexts(messaging, place.user, ['c'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'c', tag: 3 })
  })

  it('gives again, with the same id, what was not acknowledged, and only that', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['a', 'b', 'c', 'd', 'e'])
    const first = await open(messaging, place)
    const events = await nextEvents(first, 5)
    acknowledge(first, 2, true)
    acknowledge(first, 4)
    await leave(first)
    const second = await open(messaging, place)
    const again = await nextEvents(second, 2)
    expect(textsOf(again)).toEqual(['c', 'e'])
    expect(again.map(({ id }) => id)).toEqual([events[2]?.id, events[4]?.id])
    acknowledge(second, 2, true)
    await sendTexts(messaging, place.user, ['f'])
    expect(await nextEvent(second)).toMatchObject({ text: 'f' })
    acknowledge(second, 3)
    await leave(second)
    const third = await open(messaging, place, '&sync_marker=end')
    expect(await third.next()).toMatchObject({ type: 'synchronization' })
  })

  it('keeps acknowledgements over a restart of gundeck', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['a', 'b'])
    const socket = await open(messaging, place)
    await nextEvents(socket, 2)
    acknowledge(socket, 1)
    await leave(socket)
    await (await open(messaging, place)).next()
    await messaging.restartGundeck()
    expect(await nextEvent(await open(messaging, place))).toMatchObject({ text: 'b', tag: 1 })
  })

  it('answers a close when what was acknowledged is noted, for the next socket may be at another cannon', async () => {
    let isSlow = false
    await using db = delayed(await openSqlite({ file: ':memory:' }), () => (isSlow ? 30 : 0))
    await using messaging = await startMessaging({ ...switchedOn, db })
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['a', 'b'])
    const socket = await open(messaging, place)
    const events = await nextEvents(socket, 2)
    isSlow = true
    acknowledge(socket, 2, true)
    await leave(socket)
    isSlow = false
    const { body } = await messaging.inboxes.openQueue({ params: place })
    expect(body.queue).toMatchObject({ cursor: events[1]?.id, acknowledged: [] })
  })

  it('puts the marker behind what waited, and in front of what comes later', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const waited = Array.from({ length: 200 }, (_, index) => String(index))
    await sendTexts(messaging, place.user, waited)
    const socket = await open(messaging, place, '&sync_marker=mark-1')
    expect(textsOf(await nextEvents(socket, 200))).toEqual(waited)
    expect(EventsFrame.parse(await socket.next())).toEqual({
      type: 'synchronization',
      data: { marker_id: 'mark-1', delivery_tag: 201 },
    })
    acknowledge(socket, 201, true)
    await sendTexts(messaging, place.user, ['later'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'later', tag: 202 })
  })

  it('knows no marker before version 9', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const { user, client } = place
    const path = `/v8/events?client=${client}&sync_marker=x`
    const socket = await messaging.open(path, messaging.token(user))
    await sendTexts(messaging, user, ['a'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'a', tag: 1 })
  })

  it('pauses at a thousand unacknowledged, and goes on where it was', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const all = Array.from({ length: 1300 }, (_, index) => String(index))
    const socket = await open(messaging, place)
    await sendTexts(messaging, place.user, all)
    expect(textsOf(await nextEvents(socket, 1000))).toEqual(all.slice(0, 1000))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(socket.waiting).toBe(0)
    acknowledge(socket, 500, true)
    expect(textsOf(await nextEvents(socket, 300))).toEqual(all.slice(1000))
    await sendTexts(messaging, place.user, ['live'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'live', tag: 1301 })
  })

  it('goes on over a restart of gundeck, with tags that count on', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const socket = await open(messaging, place)
    await sendTexts(messaging, place.user, ['a'])
    await nextEvent(socket)
    await messaging.restartGundeck()
    await sendTexts(messaging, place.user, ['b'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'b', tag: 2 })
  })

  it('gives transient events to a live socket only', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const socket = await open(messaging, place)
    await sendTexts(messaging, place.user, ['a'])
    await sendTexts(messaging, place.user, ['typing'], { isTransient: true })
    await sendTexts(messaging, place.user, ['b'])
    expect(textsOf(await nextEvents(socket, 3))).toEqual(['a', 'typing', 'b'])
    acknowledge(socket, 2, true)
    await leave(socket)
    expect(await nextEvent(await open(messaging, place))).toMatchObject({ text: 'b' })
  })

  it('erases what its only client has acknowledged', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['a', 'b'])
    const socket = await open(messaging, place)
    await nextEvents(socket, 2)
    acknowledge(socket, 1)
    const caller = { user: place.user, client: undefined, connection: '1' }
    const left = async (): Promise<number> => {
      const { body } = await messaging.public.getNotifications({ caller, query: {} } as never)
      return (JSON.parse(body) as { notifications: unknown[] }).notifications.length
    }
    await expect.poll(left, { timeout: 5000 }).toBe(1)
  })
})

describe('a socket without client', () => {
  it('gets what comes from now on, and changes no queue', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['before'])
    const socket = await open(messaging, { user: place.user })
    await sendTexts(messaging, place.user, ['now'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'now', tag: 1 })
    acknowledge(socket, 1, true)
    await leave(socket)
    expect(textsOf(await nextEvents(await open(messaging, place), 2))).toEqual(['before', 'now'])
  })
})

describe('a client that misses something', () => {
  const dayMs = 24 * 60 * 60 * 1000

  it('is told so and gets nothing before it says that it has synchronised', async () => {
    const shift = { ms: 0 }
    const { systemClock } = await import('../../backend/src/platform/clock.ts')
    const { openSqlite } = await import('../../backend/src/adapters/sqlite/wide-column.ts')
    const nowMs = () => Date.now() + shift.ms
    const clock = { ...systemClock(), nowMs }
    await using db = await openSqlite({ file: ':memory:', nowMs })
    await using messaging = await startMessaging({ ...switchedOn, clock, db })
    const place = await newQueue(messaging)
    await sendTexts(messaging, place.user, ['expires'])
    shift.ms = 29 * dayMs
    await sendTexts(messaging, place.user, ['fresh'])

    const first = await open(messaging, place)
    expect(await first.next()).toEqual({ type: 'notifications_missed' })
    acknowledge(first, 1)
    expect(await first.closed).toEqual({ code: 1003, reason: 'unexpected-ack' })

    const second = await open(messaging, place, '&sync_marker=m')
    expect(await second.next()).toEqual({ type: 'notifications_missed' })
    second.ws.send(JSON.stringify({ type: 'ack_full_sync' }))
    expect(await nextEvent(second)).toMatchObject({ text: 'fresh', tag: 1 })
    expect(await second.next()).toMatchObject({ type: 'synchronization' })
    await leave(second)
    expect(await nextEvent(await open(messaging, place))).toMatchObject({ text: 'fresh' })
  })
})

describe('a client that breaks the rules', () => {
  it.each([
    ['a ping in text', 'ping', 'failed-to-parse'],
    ['no JSON', '{', 'failed-to-parse'],
    ['an unknown type', '{"type":"nack"}', 'failed-to-parse'],
    ['an ack without tag', '{"type":"ack","data":{}}', 'failed-to-parse'],
    [
      'an ack of nothing',
      '{"type":"ack","data":{"delivery_tag":1,"multiple":true}}',
      'unexpected-ack',
    ],
    [
      'an ack of tag 0',
      '{"type":"ack","data":{"delivery_tag":0,"multiple":true}}',
      'unexpected-ack',
    ],
    ['a full sync nobody asked for', '{"type":"ack_full_sync"}', 'unexpected-ack'],
  ])('by %s is closed with 1003', async (_, message, reason) => {
    await using messaging = await startMessaging(switchedOn)
    const socket = await open(messaging, await newQueue(messaging))
    socket.ws.send(message)
    expect(await socket.closed).toEqual({ code: 1003, reason })
  })

  it('may acknowledge twice', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = await newQueue(messaging)
    const socket = await open(messaging, place)
    await sendTexts(messaging, place.user, ['a'])
    const { tag } = await nextEvent(socket)
    acknowledge(socket, tag)
    acknowledge(socket, tag)
    await sendTexts(messaging, place.user, ['b'])
    expect(await nextEvent(socket)).toMatchObject({ text: 'b' })
  })
})

describe('/events is refused', () => {
  it('while it is switched off', async () => {
    await using messaging = await startMessaging()
    await expect(open(messaging, await newQueue(messaging))).rejects.toThrow('404')
  })

  it('without a version, for there it never was', async () => {
    await using messaging = await startMessaging(switchedOn)
    const { user } = await newQueue(messaging)
    await expect(messaging.open('/events', messaging.token(user))).rejects.toThrow('404')
  })

  it('to clients that do not acknowledge, or do not exist', async () => {
    await using messaging = await startMessaging(switchedOn)
    const place = { user: newUser(), client: newClient() }
    await expect(open(messaging, place)).rejects.toThrow('404')
    await messaging.inboxes.openClientInbox({ params: place, body: { isAcknowledging: false } })
    await expect(open(messaging, place)).rejects.toThrow('404')
  })
})
