import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import type { ConnectionId, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { ticksOfMs, timeUuid } from '../../../platform/time-uuid.ts'
import type { NotificationId } from '../../../contract/ids.ts'
import { awaitProtocol } from './await-protocol.ts'
import { LiveSocket } from './live-socket.ts'
import type { OwnerLinks } from './owner-links.ts'

const idAt = (ms: number) => timeUuid(ticksOfMs(ms), new Uint8Array(8)) as NotificationId
const neverShared = (): Buffer => Buffer.alloc(0)

function stage() {
  const clock = fakeClock()
  const detached: number[] = []
  const closed: LiveSocket[] = []
  let attachment = 0
  const link: OwnerLinks<LiveSocket> = {
    find: () => undefined,
    attach() {
      attachment += 1
      return { attachment, position: Promise.resolve(idAt(1000)) }
    },
    detach: (number) => void detached.push(number),
    confirm: () => undefined,
    silenceMs: () => 0,
    longestSilenceMs: () => 0,
    run: async () => undefined,
  }
  const place = {
    user: randomUUID() as UserId,
    client: undefined,
    connection: '1' as ConnectionId,
  }
  const socket = new LiveSocket(place, awaitProtocol, {
    link,
    gundeck: { readInbox: () => Promise.reject(new Error('nothing is read here')) },
    clock,
    log: pino({ level: 'silent' }),
    longestSocketMs: 60_000,
    limitReads: (read) => read(),
    onOpen: () => undefined,
    onClosed: (one) => void closed.push(one),
  })
  return { clock, socket, detached, closed }
}

it('gives its attachment up when the upgrade is never finished', async () => {
  const { clock, socket, detached, closed } = stage()
  await socket.attach()
  await clock.advance(10_000)
  socket.onTurn(clock.monotonicMs())
  expect(closed).toEqual([])
  await clock.advance(10_000)
  socket.onTurn(clock.monotonicMs())
  expect(closed).toEqual([socket])
  expect(detached).toEqual([1])
})

it('gives its attachment up when the client has gone before the upgrade', async () => {
  const { socket, detached, closed } = stage()
  await socket.attach()
  socket.opened(undefined)
  expect(closed).toEqual([socket])
  expect(detached).toEqual([1])
})

it('gives an attachment up when a delivery is missing, for the store has it', async () => {
  const { socket, detached } = stage()
  await socket.attach()
  socket.deliver({ id: idAt(1001), payload: '[]' }, 1, neverShared)
  expect(detached).toEqual([])
  socket.deliver({ id: idAt(1003), payload: '[]' }, 3, neverShared)
  expect(detached).toEqual([1])
})

it('takes nothing more when it is closed', async () => {
  const { socket, detached, closed } = stage()
  await socket.attach()
  socket.close(1001, '')
  socket.close(1001, '')
  socket.deliver({ id: idAt(1001), payload: '[]' }, 5, neverShared)
  expect(closed).toHaveLength(1)
  expect(detached).toEqual([1])
})
