import { randomUUID } from 'node:crypto'
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
  const inbox = { isDown: false, attempts: 0 }
  const acknowledgements = createAcknowledgements({
    gundeck: {
      async acknowledge({ body }) {
        inbox.attempts += 1
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
  await acknowledgements.flush()
  acknowledgements.add(upTo(5))
  await passHalfASecond()
  await passHalfASecond()
  expect(inbox.attempts).toBe(3)
  inbox.isDown = false
  await passHalfASecond()
  expect(noted).toEqual([[upTo(5, [9])]])
  await passHalfASecond()
  expect(inbox.attempts).toBe(4)
})

it('tries at once what waits to be repeated when somebody asks for it', async () => {
  const { acknowledgements, noted, inbox } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1))
  await acknowledgements.flush()
  inbox.isDown = false
  await acknowledgements.flush()
  expect(noted).toEqual([[upTo(1)]])
})

it('repeats nothing after the end', async () => {
  const { acknowledgements, clock, stopping, inbox } = stage()
  inbox.isDown = true
  acknowledgements.add(upTo(1))
  await acknowledgements.flush()
  stopping.abort()
  await clock.advance(5000)
  expect(inbox.attempts).toBe(1)
  expect(clock.sleeping).toBe(0)
})
