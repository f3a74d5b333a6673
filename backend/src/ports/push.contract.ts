import { describe, expect, it } from 'vitest'
import type { NotificationId, UserId } from '../contract/ids.ts'
import type { NativePush } from './push.ts'

/** What every native push does; what reaches a phone is the business of the adapter's own tests. */
export function pushContract(open: () => Promise<NativePush>): void {
  describe('native push', () => {
    const unknownApp = { transport: 'NONE', app: 'nobody.has.this.app' }

    it('says which apps it can wake', async () => {
      await using push = await open()
      expect(push.supports(unknownApp.transport, unknownApp.app)).toBe(false)
    })

    it('takes the token of an app that it cannot wake for gone', async () => {
      await using push = await open()
      const notice = {
        ...unknownApp,
        user: '11111111-1111-4111-8111-111111111111' as UserId,
        notification: '22222222-2222-1222-8222-222222222222' as NotificationId,
        token: 'token',
        priority: 'high',
      } as const
      expect(await push.notify(notice)).toBe('gone')
    })
  })
}
