import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { NotificationId, UserId } from '../contract/ids.ts'
import type { NativePush, PushNotice } from './push.ts'

/** What a suite needs to know of an adapter to make it wake somebody. */
export interface OpenedPush extends AsyncDisposable {
  readonly push: NativePush
  /** An app that the adapter can wake. */
  readonly app: { readonly transport: string; readonly app: string }
  /** The tokens that the push service has taken a notice for, in order. */
  woken(): Promise<readonly string[]>
  /** Makes the push service forget a token, as when the app is removed from the phone. */
  removeApp(token: string): Promise<void>
}

/** What every native push does. */
export function pushContract(open: () => Promise<OpenedPush>): void {
  const noticeFor = (
    app: { transport: string; app: string },
    changes: Partial<PushNotice> = {},
  ): PushNotice => ({
    ...app,
    user: randomUUID() as UserId,
    notification: 'f2b8c1a0-7c1d-11f0-bf7f-7f7f7f7f7f7f' as NotificationId,
    token: randomUUID(),
    priority: 'high',
    ...changes,
  })

  describe('native push', () => {
    it('says which apps it can wake, and takes the token of another for gone', async () => {
      await using opened = await open()
      const unknown = { transport: 'NONE', app: 'nobody.has.this.app' }
      expect(opened.push.supports(opened.app.transport, opened.app.app)).toBe(true)
      expect(opened.push.supports(unknown.transport, unknown.app)).toBe(false)
      expect(await opened.push.notify(noticeFor(unknown))).toBe('gone')
      expect(await opened.woken()).toEqual([])
    })

    it('wakes an app with every notice, and tells nothing but the token whom', async () => {
      await using opened = await open()
      const [first, second] = [noticeFor(opened.app), noticeFor(opened.app, { priority: 'low' })]
      for (const notice of [first, second, first]) {
        expect(await opened.push.notify(notice)).toBe('sent')
      }
      expect(await opened.woken()).toEqual([first.token, second.token, first.token])
    })

    it('says when a token is dead', async () => {
      await using opened = await open()
      const notice = noticeFor(opened.app)
      expect(await opened.push.notify(notice)).toBe('sent')
      await opened.removeApp(notice.token)
      expect(await opened.push.notify(notice)).toBe('gone')
      expect(await opened.woken()).toEqual([notice.token])
    })
  })
}
