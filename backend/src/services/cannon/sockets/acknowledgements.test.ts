import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { Unavailable } from '../../../contract/error.ts'
import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { ticksOfMs, timeUuid } from '../../../platform/time-uuid.ts'
import { createAcknowledgements } from './acknowledgements.ts'
import type { Acknowledgement } from './acknowledgements.ts'

const idAt = (ms: number) => timeUuid(ticksOfMs(ms), new Uint8Array(8)) as NotificationId
const user = randomUUID() as UserId
const client = 'c0ffee' as ClientId
const upTo = (ms: number, beyond: readonly number[] = []): Acknowledgement => ({
  user,
  client,
  cursor: idAt(ms),
  acknowledged: beyond.map((each) => idAt(each)),
})

/** An inbox that notes nothing while it is down. */
function stage() {
  const clock = fakeClock()
  const stopping = new AbortController()
  const noted: (readonly Acknowledgement[])[] = []
  const inbox = {
    isDown: false,
    attempts: 0,
    until: Promise.resolve(),
    onAttempt: () => undefined as void,
  }
  const acknowledgements = createAcknowledgements({
    gundeck: {
      async acknowledge({ body }) {
        inbox.attempts += 1
        inbox.onAttempt()
        await inbox.until
        if (inbox.isDown) throw new Unavailable('the inbox is down')
        noted.push(body.acknowledgements)
        return { status: 200, headers: {} }
      },
    },
    clock,
    log: pino({ level: 'silent' }),
    signal: stopping.signal,
  })
  /** Until the next repetition, and through it. */
  async function passHalfASecond(): Promise<void> {
    await clock.advance(0)
    await clock.advance(500)
    await clock.advance(0)
  }
  return { clock, stopping, noted, inbox, acknowledgements, passHalfASecond }
}

it('sends what comes in one turn together, one for each client', async () => {
  const { acknowledgements, noted } = stage()
  acknowledgements.add(upTo(1, [5]))
  acknowledgements.add(upTo(3, [7]))
  acknowledgements.add({ ...upTo(2), client: 'beef' as ClientId })
  await acknowledgements.flush()
  expect(noted).toEqual([[upTo(3, [5, 7]), { ...upTo(2), client: 'beef' }]])
})

it('repeats what could not be noted, with what came meanwhile, until it is', async () => {
  const { acknowledgements, noted, inbox, passHalfASecond } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1, [3, 9]))
  await passHalfASecond()
  expect(inbox.attempts).toBe(2)
  acknowledgements.add(upTo(5))
  await passHalfASecond()
  expect(inbox.attempts).toBe(3)
  inbox.isDown = false
  await passHalfASecond()
  expect(noted).toEqual([[upTo(5, [9])]])
  await passHalfASecond()
  expect(inbox.attempts).toBe(4)
})

it('waits for the one under way and the next, and not for what comes later', async () => {
  const { acknowledgements, noted, inbox } = stage()
  const { promise, resolve } = Promise.withResolvers<void>()
  inbox.until = promise
  acknowledgements.add(upTo(1))
  await nextTurn()
  acknowledgements.add(upTo(2))
  let isOver = false
  const flushing = acknowledgements.flush().then(() => (isOver = true))
  await nextTurn()
  expect(isOver).toBe(false)
  resolve()
  // As busy sockets do it: there is always more.
  inbox.onAttempt = () => acknowledgements.add(upTo(3))
  await flushing
  expect(noted.flat()).toContainEqual(upTo(2))
  inbox.onAttempt = () => undefined
})

it('waits for a while for what cannot be noted', async () => {
  const { acknowledgements, noted, inbox, passHalfASecond } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1))
  let isOver = false
  const flushing = acknowledgements.flush().then(() => (isOver = true))
  await passHalfASecond()
  await passHalfASecond()
  expect(isOver).toBe(false)
  inbox.isDown = false
  await passHalfASecond()
  await flushing
  expect(noted).toEqual([[upTo(1)]])
})

it('does not wait for ever', async () => {
  const { acknowledgements, noted, inbox, passHalfASecond } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1))
  const flushing = acknowledgements.flush()
  for (let turn = 0; turn < 7; turn += 1) await passHalfASecond()
  await flushing
  expect(noted).toEqual([])
  // Whoever comes later waits for one attempt only.
  const { attempts } = inbox
  await acknowledgements.flush()
  expect(inbox.attempts).toBe(attempts + 1)
})

it('repeats nothing after the end', async () => {
  const { acknowledgements, clock, stopping, inbox } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1))
  await clock.advance(0)
  stopping.abort()
  await acknowledgements.flush()
  await clock.advance(5000)
  const { attempts } = inbox
  await clock.advance(5000)
  expect(inbox.attempts).toBe(attempts)
  expect(clock.sleeping).toBe(0)
})
