import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { refused } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

/** The token under which the push service reaches an app that sleeps. */
async function registersForPushes({ client, device }: Somebody): Promise<string> {
  const token = randomUUID()
  await client.request('POST', '/push/tokens', {
    json: { transport: 'GCM', app: 'com.wire', token, client: device },
    expect: 201,
  })
  return token
}

inBothShapes(({ person, backend }) => {
  const noticeboard = (): string => `${backend().noticeboardUrl ?? ''}/pushes`

  async function pushesTo(token: string): Promise<string[]> {
    const reply = await fetch(noticeboard())
    const { pushes } = (await reply.json()) as {
      pushes: readonly { token: string; notification: string }[]
    }
    return pushes.filter((push) => push.token === token).map(({ notification }) => notification)
  }

  it('wakes the app of a device without a socket, which finds there what woke it', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const token = await registersForPushes(bob)
    await alice.sends(room, 'while awake')
    await bob.receives('while awake')
    await bob.goesOffline()
    await alice.sends(room, 'while asleep')
    await expect.poll(() => pushesTo(token)).toHaveLength(1)
    const [notification = ''] = await pushesTo(token)
    await bob.client.request('GET', `/notifications/${notification}`, { expect: 200 })
    await bob.comesOnline()
    await bob.receives('while asleep')
  })

  it('forgets the token of an app that was removed from its phone', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const room = await alice.connectsWith(bob)
    const token = await registersForPushes(bob)
    await bob.goesOffline()
    await fetch(`${noticeboard()}?token=${token}`, { method: 'DELETE' })
    await alice.sends(room, 'to nobody')
    await expect
      .poll(async () => (await bob.client.request('GET', '/push/tokens')).json)
      .toEqual({ tokens: [] })
    expect(await pushesTo(token)).toEqual([])
    const gone = await bob.client.request('DELETE', `/push/tokens/${token}`)
    expect(gone).toMatchObject(refused(404, 'not-found'))
  })
})
