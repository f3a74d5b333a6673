import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { ClientInput, ClientReply } from '../contract/endpoint.ts'
import { ApiError, Unavailable, kitErrors } from '../contract/error.ts'
import type { Push, pushApi } from '../contract/gundeck/internal.ts'
import type { UserId } from '../contract/ids.ts'
import { fakeClock } from '../platform/fake-clock.ts'
import { gatherPushes } from './gathered-pushes.ts'

type Body = ClientInput<typeof pushApi.push>['body']
type Reply = ClientReply<typeof pushApi.push>

const userOf = (number: number): UserId => `user ${String(number)}` as UserId
/** A push to some users; its event time is its number. */
const push = (number: number, recipients = 1): Push => ({
  requestId: String(number),
  recipients: Array.from({ length: recipients }, () => ({ user: userOf(number) })),
  eventTimeMs: number,
})

function gathering(fail: (body: Body) => Error | undefined = () => undefined) {
  const calls: Body[] = []
  const client = gatherPushes(
    {
      async push({ body }): Promise<Reply> {
        calls.push(body)
        await nextTurn()
        const error = fail(body)
        if (error) throw error
        const eventTimesMs = body.pushes.map(({ recipients, eventTimeMs = 0 }) =>
          Object.fromEntries(recipients.map(({ user }) => [user, eventTimeMs])),
        )
        return { status: 200, headers: {}, body: { eventTimesMs } }
      },
    },
    fakeClock(),
  )
  const requestsOf = () => calls.map(({ pushes }) => pushes.map(({ requestId }) => requestId))
  return {
    calls,
    requestsOf,
    send: (...pushes: Push[]) => client.push({ body: { pushes } }),
    client,
  }
}

it('makes one call of what is pushed in one turn, and gives each caller its own times', async () => {
  const { requestsOf, send } = gathering()
  const replies = await Promise.all([send(push(1)), send(push(2), push(3)), send()])
  expect(replies.map(({ body }) => body.eventTimesMs)).toEqual([
    [{ [userOf(1)]: 1 }],
    [{ [userOf(2)]: 2 }, { [userOf(3)]: 3 }],
    [],
  ])
  await send(push(4))
  expect(requestsOf()).toEqual([['1', '2', '3'], ['4']])
})

it('lets repeats and pushes to many go alone, and bounds a call', async () => {
  const { calls, requestsOf, client, send } = gathering()
  await Promise.all([
    send(push(1, 200)),
    client.push({ body: { pushes: [push(2)], isRepeat: true } }),
    send(push(3, 300)),
    send(push(4, 100)),
  ])
  expect(requestsOf()).toEqual([['2'], ['3'], ['1'], ['4']])
  expect(calls[0]?.isRepeat).toBe(true)
})

it('tells every caller when gundeck is away', async () => {
  const { calls, send } = gathering(() => new Unavailable('push'))
  const outcomes = await Promise.allSettled([send(push(1)), send(push(2))])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(calls).toHaveLength(1)
})

it('finds out who is refused by asking again for each', async () => {
  const { calls, send } = gathering(({ pushes }) =>
    pushes.some(({ requestId }) => requestId === '2')
      ? new ApiError(kitErrors.tooLarge)
      : undefined,
  )
  const outcomes = await Promise.allSettled([send(push(1)), send(push(2)), send(push(3))])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(calls.map(({ isRepeat = false }) => isRepeat)).toEqual([false, true, true, true])
})
