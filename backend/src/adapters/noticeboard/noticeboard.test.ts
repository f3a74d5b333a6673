import { expect, it } from 'vitest'
import type { NotificationId, UserId } from '../../contract/ids.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { pushContract } from '../../ports/push.contract.ts'
import { createNoticeboard } from './noticeboard.ts'

pushContract(async () => {
  const push = createNoticeboard(fakeClock())
  return {
    push,
    app: { transport: 'GCM', app: 'wire' },
    woken: async () => push.list().map(({ token }) => token),
    removeApp: async (token) => push.removeApp(token),
    [Symbol.asyncDispose]: () => push[Symbol.asyncDispose](),
  }
})

it('keeps the newest thousand notices', async () => {
  const board = createNoticeboard(fakeClock())
  for (let i = 0; i < 1100; i += 1) {
    await board.notify({
      user: '11111111-1111-4111-8111-111111111111' as UserId,
      notification: '22222222-2222-1222-8222-222222222222' as NotificationId,
      transport: 'APNS',
      app: 'wire',
      token: String(i),
      priority: 'low',
    })
  }
  expect(board.list()).toHaveLength(1000)
  expect(board.list()[0]?.token).toBe('100')
})
