import { describe, expect, it } from 'vitest'
import type { Client } from '../../contract/endpoint.ts'
import { Unavailable } from '../../contract/error.ts'
import type { pushApi } from '../../contract/gundeck/internal.ts'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { systemIds } from '../../platform/ids.ts'
import { userEvents } from './events.ts'

const ids = systemIds()
const [alice, bob] = [ids.uuid() as UserId, ids.uuid() as UserId]
type PushBody = Parameters<Client<typeof pushApi>['push']>[0]['body']

function setup(failures: (Error | undefined)[] = []) {
  const clock = fakeClock()
  const bodies: PushBody[] = []
  const gundeck: Client<typeof pushApi> = {
    async push({ body }) {
      bodies.push(structuredClone(body))
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      return { status: 200, headers: {}, body: { eventTimesMs: [] } }
    },
  }
  return { clock, bodies, events: userEvents({ gundeck, clock, ids }) }
}

const event = { type: 'user.properties-clear' } as const

describe('publishing', () => {
  it('names each recipient once, and the origin', async () => {
    const { events, bodies } = setup()
    const origin = { user: alice, connection: '7' as ConnectionId }
    const clients = ['a1' as ClientId]
    await events.publish([{ recipients: [alice, bob, alice], event, origin, clients }])
    expect(bodies[0]?.pushes[0]).toMatchObject({
      recipients: [
        { user: alice, clients },
        { user: bob, clients },
      ],
      events: [event],
      origin,
    })
  })

  it('asks nobody when there is nobody to tell', async () => {
    const { events, bodies } = setup()
    await events.publish([{ recipients: [], event }])
    expect(bodies).toEqual([])
  })

  it('repeats with the same request id while gundeck is away', async () => {
    const { clock, events, bodies } = setup([new Unavailable('away'), new Unavailable('away')])
    const publishing = events.publish([{ recipients: [alice], event }])
    await clock.advance(50)
    await clock.advance(100)
    await publishing
    expect(bodies.map(({ isRepeat }) => isRepeat)).toEqual([false, true, true])
    expect(new Set(bodies.map(({ pushes }) => pushes[0]?.requestId)).size).toBe(1)
  })

  it('gives up after some seconds', async () => {
    const { clock, events, bodies } = setup(
      Array.from({ length: 50 }, () => new Unavailable('away')),
    )
    const outcome = events
      .publish([{ recipients: [alice], event }])
      .catch((error: unknown) => error)
    await clock.advance(10_000)
    expect(await outcome).toBeInstanceOf(Unavailable)
    expect(bodies.length).toBeGreaterThan(4)
    expect(bodies.length).toBeLessThan(12)
  })

  it('does not repeat what is a defect', async () => {
    const { events, bodies } = setup([new TypeError('a defect')])
    const publishing = events.publish([{ recipients: [alice], event }])
    await expect(publishing).rejects.toBeInstanceOf(TypeError)
    expect(bodies).toHaveLength(1)
  })
})
