import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { memoryPresence } from '../../../adapters/memory/presence.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { ConnectionId, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { Presence } from '../../../ports/presence.ts'
import { createPresences } from './presences.ts'
import type { Present } from './presences.ts'

const dayMs = 24 * 60 * 60 * 1000

function stage() {
  const clock = fakeClock()
  const store = memoryPresence(clock)
  const sockets: Present[] = []
  const writes: Presence[] = []
  let isDown = false
  let inFlight = 0
  let mostInFlight = 0
  const presences = createPresences({
    store: {
      ...store,
      async add(presence, ttlSeconds) {
        inFlight += 1
        mostInFlight = Math.max(mostInFlight, inFlight)
        await new Promise(setImmediate)
        inFlight -= 1
        if (isDown) throw new Unavailable('the store is down')
        writes.push(presence)
        await store.add(presence, ttlSeconds)
      },
    },
    instance: 'cannon-1',
    sockets: () => sockets,
    clock,
    log: pino({ level: 'silent' }),
  })
  const stopping = new AbortController()
  void presences.run(stopping.signal)
  return {
    clock,
    presences,
    writes,
    list: (user: UserId) => store.list([user]),
    setDown: (value: boolean) => void (isDown = value),
    get mostInFlight() {
      return mostInFlight
    },
    forgetMost: () => void (mostInFlight = 0),
    open(connection = '1'): Present {
      const socket = {
        user: randomUUID() as UserId,
        client: undefined,
        connection: connection as ConnectionId,
        openedMs: clock.monotonicMs(),
        isClosed: false,
      }
      sockets.push(socket)
      presences.onOpen(socket)
      return socket
    },
    close(socket: Present) {
      sockets.splice(sockets.indexOf(socket), 1)
      Object.assign(socket, { isClosed: true })
      presences.onClosed(socket)
    },
    /** Whoever writes is done by then. */
    async pass(ms: number) {
      for (let passedMs = 0; passedMs < ms; passedMs += dayMs / 24) {
        await clock.advance(Math.min(dayMs / 24, ms - passedMs))
        for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
      }
    },
    stop: () => stopping.abort(),
  }
}

it('keeps a socket present that lives longer than a presence, with a write a day', async () => {
  const test = stage()
  await test.pass(1_234_567)
  const openedAtMs = test.clock.nowMs()
  const { user } = test.open()
  await test.pass(10 * dayMs)
  expect(await test.list(user)).toEqual([
    { user, connection: '1', instance: 'cannon-1', sinceMs: openedAtMs },
  ])
  expect(test.writes).toHaveLength(11)
  test.stop()
})

it('says nothing more of a socket that is closed', async () => {
  const test = stage()
  const socket = test.open()
  await test.pass(dayMs * 1.5)
  test.close(socket)
  await test.pass(dayMs * 3)
  expect(await test.list(socket.user)).toEqual([])
  expect(test.writes).toHaveLength(2)
  test.stop()
})

it('refreshes what came in one storm a few at a time', async () => {
  const test = stage()
  for (let count = 0; count < 300; count += 1) test.open(String(count))
  await test.pass(dayMs / 2)
  expect(test.writes).toHaveLength(300)
  test.forgetMost()
  await test.pass(dayMs)
  expect(test.writes).toHaveLength(600)
  expect(test.mostInFlight).toBe(16)
  test.stop()
})

it('tries again what the store did not take', async () => {
  const test = stage()
  test.setDown(true)
  const kept = test.open('kept')
  const gone = test.open('gone')
  await test.pass(3_600_000)
  test.close(gone)
  test.setDown(false)
  await test.pass(600_000)
  expect(await test.list(kept.user)).toHaveLength(1)
  expect(await test.list(gone.user)).toEqual([])
  expect(test.writes).toHaveLength(1)
  test.stop()
})
