import type { NotificationId, UserId } from '../contract/ids.ts'

/** Native push carries no content: a notice that there is something to fetch. */
export interface PushNotice {
  user: UserId
  notification: NotificationId
  transport: string
  app: string
  token: string
  priority: 'low' | 'high'
}

export interface NativePush extends AsyncDisposable {
  /** Apps that a token may be registered for, as `transport/app`. */
  supports(transport: string, app: string): boolean
  /** `gone`: the token is dead and must be forgotten. */
  notify(notice: PushNotice): Promise<'sent' | 'gone'>
}
