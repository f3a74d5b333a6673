import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Push } from '../../backend/src/contract/gundeck/internal.ts'
import type { ConnectionId, UserId } from '../../backend/src/contract/ids.ts'
import { fakeClock } from '../../backend/src/platform/fake-clock.ts'
import { newClient, newUser, startMessaging } from './messaging.ts'
import type { Messaging, TestSocket } from './messaging.ts'

interface Frame {
  id: string
  payload: { text: string }[]
  transient?: boolean
}

function pushTo(user: UserId, text: string, more: Partial<Push> = {}): Push {
  return {
    requestId: randomUUID(),
    recipients: [{ user }],
    events: [{ type: 'test', text }],
    isTransient: false,
    priority: 'high',
    ...more,
  }
}

async function send(messaging: Messaging, ...pushes: Push[]): Promise<void> {
  await messaging.push.push({ body: { pushes } })
}

async function texts(socket: TestSocket, count: number): Promise<string[]> {
  const found: string[] = []
  while (found.length < count) {
    const { payload } = (await socket.next()) as Frame
    found.push(...payload.map(({ text }) => text))
  }
  return found
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at))

describe('the upgrade', () => {
  it.each(['/await', '/websocket', '/v8/await', '/v15/websocket'])('works at %s', async (path) => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const socket = await messaging.open(path, messaging.token(bob))
    await send(messaging, pushTo(bob, 'hello'))
    expect(await texts(socket, 1)).toEqual(['hello'])
  })

  it('is refused without a valid access token', async () => {
    await using messaging = await startMessaging()
    await expect(messaging.open('/await', 'nonsense')).rejects.toThrow('refused with 401')
    await expect(messaging.open('/await', '')).rejects.toThrow('refused with 401')
    await expect(messaging.open('/v7/await', messaging.token(newUser()))).rejects.toThrow('404')
    const strange = '/await?client=not-hexadecimal'
    await expect(messaging.open(strange, messaging.token(newUser()))).rejects.toThrow('400')
  })

  it('is refused while the inboxes cannot be reached, or cannon is full', async () => {
    await using messaging = await startMessaging({ cannonConfig: { largestSockets: 1 } })
    await messaging.open('/await', messaging.token(newUser()))
    await expect(messaging.open('/await', messaging.token(newUser()))).rejects.toThrow('503')
    await using other = await startMessaging()
    await other.gundeck.drain()
    await expect(other.open('/await', other.token(newUser()))).rejects.toThrow('503')
  })

  it('is answered after the attachment: nothing that comes later is missed', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    let isSending = true
    const sending = (async () => {
      for (let count = 0; isSending; count += 1) await send(messaging, pushTo(bob, String(count)))
    })()
    const socket = await messaging.open('/await', messaging.token(bob))
    const caller = { user: bob, client: undefined, connection: '1' as ConnectionId }
    // As clients do: read what was before, then what the socket held back.
    const page = await messaging.public.getNotifications({ caller, query: { size: 10_000 } })
    isSending = false
    await sending
    const { notifications } = JSON.parse(page.body) as { notifications: Frame[] }
    const last = await messaging.public.getLastNotification({ caller, query: {} })
    const { id: lastId } = JSON.parse(last.body) as Frame
    const seen = new Map(notifications.map((one) => [one.id, one.payload[0]?.text]))
    for (let frame: Frame | undefined; frame?.id !== lastId;) {
      frame = (await socket.next()) as Frame
      seen.set(frame.id, frame.payload[0]?.text)
    }
    expect([...seen.values()]).toEqual(numbered(seen.size))
  })
})

describe('a socket', () => {
  it('answers a ping, in text or binary, with a binary pong', async () => {
    await using messaging = await startMessaging()
    const socket = await messaging.open('/await', messaging.token(newUser()))
    socket.ws.send('ping')
    socket.ws.send(Buffer.from('ping'))
    socket.ws.send('something else')
    expect([await socket.next(), await socket.next()]).toEqual(['pong', 'pong'])
  })

  it('shows only what is for its client, and not what its own connection caused', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const [phone, laptop] = [newClient(), newClient()]
    const onPhone = await messaging.open(`/await?client=${phone}`, messaging.token(bob, '1'))
    const onLaptop = await messaging.open(`/await?client=${laptop}`, messaging.token(bob, '2'))
    const origin = { user: bob, connection: '1' as ConnectionId }
    await send(
      messaging,
      pushTo(bob, 'laptop', { recipients: [{ user: bob, clients: [laptop] }] }),
      pushTo(bob, 'own', { origin }),
      pushTo(bob, 'typing', { isTransient: true }),
      pushTo(bob, 'end'),
    )
    expect(await texts(onPhone, 2)).toEqual(['typing', 'end'])
    expect(await texts(onLaptop, 4)).toEqual(['laptop', 'own', 'typing', 'end'])
  })

  it('marks transient notifications, and no others', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    await send(messaging, pushTo(bob, 'typing', { isTransient: true }), pushTo(bob, 'text'))
    expect(await socket.next()).toMatchObject({ transient: true })
    expect(await socket.next()).not.toHaveProperty('transient')
  })

  it('is closed when the same connection comes again', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const first = await messaging.open('/await', messaging.token(bob, '7'))
    const second = await messaging.open('/await', messaging.token(bob, '7'))
    expect(await first.closed).toEqual({ code: 1000, reason: 'replaced' })
    await send(messaging, pushTo(bob, 'text'))
    expect(await texts(second, 1)).toEqual(['text'])
  })

  it('is closed when its client is removed', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const phone = newClient()
    const socket = await messaging.open(`/await?client=${phone}`, messaging.token(bob, '1'))
    const other = await messaging.open('/await', messaging.token(bob, '2'))
    await messaging.inboxes.closeClientInbox({ params: { user: bob, client: phone } })
    expect((await socket.closed).reason).toBe('client-removed')
    await messaging.inboxes.closeInbox({ params: { user: bob } })
    expect((await other.closed).reason).toBe('user-removed')
  })

  it('that does not answer pings is closed; one that does lives until it is old', async () => {
    const clock = fakeClock()
    await using messaging = await startMessaging({
      clock,
      cannonConfig: { pingSeconds: 5, longestSocketSeconds: 60 },
    })
    const silent = await messaging.open('/await', messaging.token(newUser()))
    const lively = await messaging.open('/await', messaging.token(newUser()))
    silent.ws.pause()
    let pings = 0
    lively.ws.on('ping', () => {
      pings += 1
    })
    for (let second = 0; second < 30; second += 1) {
      await clock.advance(1000)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    silent.ws.resume()
    const { code } = await silent.closed
    expect([1002, 1006]).toContain(code)
    expect(pings).toBeGreaterThanOrEqual(5)
    for (let second = 0; second < 40; second += 1) {
      await clock.advance(1000)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(await lively.closed).toEqual({ code: 1001, reason: 'reconnect' })
  })
})

describe('delivery', () => {
  it('keeps up with a burst that is larger than the window', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    const all = numbered(1000)
    await Promise.all(all.map((text) => send(messaging, pushTo(bob, text))))
    expect(await texts(socket, 1000)).toEqual(all)
  })

  it('waits for a slow client in the store, not in memory, and then gives everything once', async () => {
    await using messaging = await startMessaging({ isChecked: false })
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    socket.ws.pause()
    const filler = 'x'.repeat(20_000)
    const all = numbered(1500)
    for (let at = 0; at < all.length; at += 50) {
      const batch = all.slice(at, at + 50)
      await send(messaging, ...batch.map((text) => pushTo(bob, `${text} ${filler}`)))
    }
    socket.ws.resume()
    const seen = await texts(socket, 1500)
    expect(seen.map((text) => text.split(' ')[0])).toEqual(all)
    await send(messaging, pushTo(bob, 'live again'))
    expect(await texts(socket, 1)).toEqual(['live again'])
    expect(socket.waiting).toBe(0)
  })

  it('loses nothing when calls to the cannon are lost, or answered too late', async () => {
    let calls = 0
    await using messaging = await startMessaging({
      wrapCannon: (cannon) => ({
        async deliver(input) {
          calls += 1
          if (calls % 3 === 1) throw new Error('lost on the way')
          const reply = await cannon.deliver(input)
          if (calls % 3 === 2) throw new Error('lost on the way back')
          return reply
        },
      }),
    })
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    const all = numbered(12)
    for (const text of all) {
      await send(messaging, pushTo(bob, text))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(await texts(socket, 12)).toEqual(all)
    expect(socket.waiting).toBe(0)
  })

  it('notices a delivery that vanished without a word, at the next one', async () => {
    let calls = 0
    await using messaging = await startMessaging({
      wrapCannon: (cannon) => ({
        async deliver(input) {
          calls += 1
          if (calls === 2) return { status: 200, headers: {}, body: { unknown: [] } }
          return cannon.deliver(input)
        },
      }),
    })
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    for (const text of ['a', 'vanishes', 'c']) {
      await send(messaging, pushTo(bob, text))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(await texts(socket, 3)).toEqual(['a', 'vanishes', 'c'])
  })

  it('goes on after a restart of gundeck, with what came meanwhile first', async () => {
    await using messaging = await startMessaging()
    const bob = newUser()
    const origin = { user: bob, connection: '1' as ConnectionId }
    const socket = await messaging.open('/await', messaging.token(bob, '1'))
    await send(messaging, pushTo(bob, 'before'))
    await messaging.restartGundeck()
    await send(messaging, pushTo(bob, 'own', { origin }), pushTo(bob, 'meanwhile'))
    expect(await texts(socket, 2)).toEqual(['before', 'meanwhile'])
    await send(messaging, pushTo(bob, 'after'))
    expect(await texts(socket, 1)).toEqual(['after'])
    expect(socket.waiting).toBe(0)
  })

  it('of what a killed gundeck had committed and not pushed comes once the socket attaches again', async () => {
    await using messaging = await startMessaging({
      hooks: { at: (step) => (step === 'committed' ? new Promise(() => undefined) : undefined) },
    })
    const bob = newUser()
    const socket = await messaging.open('/await', messaging.token(bob))
    const push = pushTo(bob, 'committed')
    void send(messaging, push)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await messaging.restartGundeck()
    await messaging.push.push({ body: { pushes: [push], isRepeat: true } })
    await send(messaging, pushTo(bob, 'later'))
    expect(await texts(socket, 2)).toEqual(['committed', 'later'])
  })
})

describe('a cannon that stops', () => {
  it('closes its sockets spread over time, and takes no new ones', async () => {
    const clock = fakeClock()
    await using messaging = await startMessaging({
      clock,
      cannonConfig: { drain: { graceSeconds: 1, batchMs: 100, smallestBatch: 2 } },
    })
    const sockets: TestSocket[] = []
    for (let count = 0; count < 10; count += 1) {
      sockets.push(await messaging.open('/await', messaging.token(newUser())))
    }
    let closed = 0
    for (const socket of sockets) void socket.closed.then(() => (closed += 1))
    const drained = messaging.cannon.drain()
    await expect(messaging.open('/await', messaging.token(newUser()))).rejects.toThrow('503')
    await expect.poll(() => closed).toBe(2)
    await clock.advance(100)
    await expect.poll(() => closed).toBe(4)
    for (let step = 0; step < 40; step += 1) await clock.advance(100)
    await drained
    for (const socket of sockets) expect((await socket.closed).code).toBe(1001)
  })
})
