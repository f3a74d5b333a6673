import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { ConnectionId } from '../../backend/src/contract/ids.ts'
import { newClient, newUser, startMessaging } from './messaging.ts'

it('stores a push, shows it on the live socket and in the catch-up with the same id', async () => {
  await using messaging = await startMessaging()
  const bob = newUser()
  const phone = newClient()
  const socket = await messaging.open(`/await?client=${phone}`, messaging.token(bob))

  const { body } = await messaging.push.push({
    body: {
      pushes: [
        {
          requestId: randomUUID(),
          recipients: [{ user: bob, clients: [phone] }],
          events: [{ type: 'conversation.rename', data: { name: 'Grüße' } }],
          eventTimeMs: Date.now(),
        },
      ],
    },
  })

  const frame = await socket.next()
  const caller = { user: bob, client: undefined, connection: '1' as ConnectionId }
  const page = await messaging.public.getNotifications({ caller, query: { client: phone } })
  const { notifications, has_more } = JSON.parse(page.body) as {
    notifications: unknown[]
    has_more: boolean
  }
  expect(notifications).toEqual([frame])
  expect(has_more).toBe(false)
  expect(frame).toMatchObject({
    payload: [
      {
        type: 'conversation.rename',
        data: { name: 'Grüße' },
        time: new Date(body.eventTimesMs[0]?.[bob] ?? 0).toISOString(),
      },
    ],
  })
})
