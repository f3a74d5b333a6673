import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Unavailable, UnknownOutcome } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { Ring } from './ring.ts'
import { createRouter, type OwnerClient } from './router.ts'

const user = randomUUID() as UserId

/** A ring in which the user's inbox is at `a`, until it moves to `b`. */
function startRouter() {
  let owner = 'a'
  let nextVersion = Promise.withResolvers<void>()
  const clock = fakeClock()
  const ring = {
    id: 'c',
    map: { version: 1 },
    ownerOf: () => ({ kind: 'elsewhere', owner: { id: owner, address: owner } }),
    get nextVersion() {
      return nextVersion.promise
    },
  } as unknown as Ring
  const asked: { address: string; round: number }[] = []
  const router = createRouter({
    ring,
    clock,
    ownerAt: (address) => ({ address }) as unknown as OwnerClient,
  })
  async function call(failure: Error): Promise<string> {
    try {
      await router.atOwners(
        [user],
        {},
        {
          here: () => {
            throw new Error('nothing is here')
          },
          async there(client, _users, { round }) {
            const { address } = client as unknown as { address: string }
            asked.push({ address, round })
            if (address === 'a') throw failure
            return []
          },
        },
      )
      return 'done'
    } catch (caught) {
      return caught instanceof Error ? caught.message : String(caught)
    }
  }
  const move = (): void => {
    owner = 'b'
    nextVersion.resolve()
    nextVersion = Promise.withResolvers()
  }
  return { asked, call, clock, move }
}

it.each([new Unavailable('connect'), new UnknownOutcome('push')])(
  'brings a call of a dead owner to the next one as soon as there is one (%s)',
  async (error) => {
    const { asked, call, clock, move } = startRouter()
    const done = call(error)
    await clock.advance(900)
    expect(asked).toEqual([{ address: 'a', round: 0 }])
    move()
    await nextTurn()
    await clock.advance(5)
    expect(await done).toBe('done')
    // What was tried before may be stored.
    expect(asked).toEqual([
      { address: 'a', round: 0 },
      { address: 'b', round: 1 },
    ])
    expect(clock.sleeping).toBe(0)
  },
)

it('says that an owner does not answer when nobody takes over for a second', async () => {
  const { asked, call, clock } = startRouter()
  const done = call(new Unavailable('the owner cannot be reached'))
  await clock.advance(1000)
  expect(await done).toContain('the owner cannot be reached')
  expect(asked).toHaveLength(1)
})

it('does not hold back what an owner refuses', async () => {
  const { call, clock } = startRouter()
  const done = call(new Error('refused'))
  await clock.advance(0)
  expect(await done).toBe('refused')
})
