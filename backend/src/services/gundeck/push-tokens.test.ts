import { describe, expect, it } from 'vitest'
import type { PushToken } from '../../contract/gundeck/push-tokens.ts'
import type { ConnectionId, UserId } from '../../contract/ids.ts'
import type { NativePush, PushNotice } from '../../ports/push.ts'
import {
  attach,
  newClient,
  newUser,
  pushTo,
  send,
  settle,
  startTestGundeck,
} from './testing/test-gundeck.ts'

const connection = '1' as ConnectionId
const callerOf = (user: UserId) => ({ user, client: undefined, connection })

function paperPush(outcome: 'sent' | 'gone' = 'sent'): NativePush & { sent: PushNotice[] } {
  const sent: PushNotice[] = []
  return {
    sent,
    supports: (transport, app) => transport === 'GCM' && app === 'wire',
    async notify(notice) {
      sent.push(notice)
      return outcome
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

const tokenOf = (more: Partial<PushToken> = {}): PushToken => ({
  transport: 'GCM',
  app: 'wire',
  token: 'abc',
  client: newClient(),
  ...more,
})

describe('a push token', () => {
  it('is refused where no app can be woken', async () => {
    const gundeck = await startTestGundeck()
    const adding = gundeck.client.addPushToken({ caller: callerOf(newUser()), body: tokenOf() })
    await expect(adding).rejects.toMatchObject({
      declaration: { label: 'app-not-found', status: 404 },
    })
  })

  it.each([
    [{ app: 'other' }, 'app-not-found'],
    [{ transport: 'APNS' as const }, 'app-not-found'],
    [{ transport: 'APNS_VOIP' as const }, 'apns-voip-not-supported'],
    [{ transport: 'APNS_VOIP_SANDBOX' as const }, 'apns-voip-not-supported'],
    [{ token: 'x'.repeat(8193) }, 'token-too-long'],
  ])('like %j is refused with %s', async (more, label) => {
    const gundeck = await startTestGundeck({ push: paperPush() })
    const adding = gundeck.client.addPushToken({ caller: callerOf(newUser()), body: tokenOf(more) })
    await expect(adding).rejects.toMatchObject({ declaration: { label } })
  })

  it('is kept, listed and removed', async () => {
    const gundeck = await startTestGundeck({ push: paperPush() })
    const caller = callerOf(newUser())
    const token = tokenOf()
    const added = await gundeck.client.addPushToken({ caller, body: token })
    expect(added.body).toEqual(token)
    await gundeck.client.addPushToken({ caller, body: token })
    expect((await gundeck.client.listPushTokens({ caller })).body).toEqual({ tokens: [token] })
    const params = { pid: token.token }
    await gundeck.client.removePushToken({ caller, params })
    await expect(gundeck.client.removePushToken({ caller, params })).rejects.toMatchObject({
      declaration: { label: 'not-found' },
    })
    expect((await gundeck.client.listPushTokens({ caller })).body).toEqual({ tokens: [] })
  })

  it('goes with its client', async () => {
    const gundeck = await startTestGundeck({ push: paperPush() })
    const user = newUser()
    const caller = callerOf(user)
    const [phone, laptop] = [tokenOf({ token: 'phone' }), tokenOf({ token: 'laptop' })]
    for (const body of [phone, laptop]) await gundeck.client.addPushToken({ caller, body })
    await gundeck.client.closeClientInbox({ params: { user, client: phone.client } })
    expect((await gundeck.client.listPushTokens({ caller })).body.tokens).toEqual([laptop])
    await gundeck.client.closeInbox({ params: { user } })
    expect((await gundeck.client.listPushTokens({ caller })).body.tokens).toEqual([])
  })
})

describe('an app', () => {
  it('is woken for what its client has no socket for, with nothing of the content', async () => {
    const push = paperPush()
    const gundeck = await startTestGundeck({ push })
    const user = newUser()
    const caller = callerOf(user)
    const [phone, laptop, tablet] = [
      tokenOf({ token: 'phone' }),
      tokenOf({ token: 'laptop' }),
      tokenOf({ token: 'tablet' }),
    ]
    for (const body of [phone, laptop, tablet]) await gundeck.client.addPushToken({ caller, body })
    await attach(gundeck, user, { client: laptop.client })
    const recipients = [{ user, clients: [phone.client, laptop.client] }]
    await send(gundeck, user, pushTo(user, 'secret', { recipients, priority: 'low' }))
    await send(gundeck, user, pushTo(user, 'typing', { recipients, isTransient: true }))
    await settle()
    expect(push.sent).toEqual([
      {
        user,
        notification: gundeck.delivered[0]?.id,
        transport: 'GCM',
        app: 'wire',
        token: 'phone',
        priority: 'low',
      },
    ])
  })

  it('that is gone is forgotten', async () => {
    const push = paperPush('gone')
    const gundeck = await startTestGundeck({ push })
    const user = newUser()
    const caller = callerOf(user)
    await gundeck.client.addPushToken({ caller, body: tokenOf() })
    await send(gundeck, user, pushTo(user, 'text'))
    await settle()
    expect((await gundeck.client.listPushTokens({ caller })).body.tokens).toEqual([])
  })
})
