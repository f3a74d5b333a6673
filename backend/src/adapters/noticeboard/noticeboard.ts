import type { Clock } from '../../platform/clock.ts'
import type { NativePush, PushNotice } from '../../ports/push.ts'

export interface PostedNotice extends PushNotice {
  /** ISO 8601, UTC. */
  readonly posted: string
}

export interface Noticeboard extends NativePush {
  /** Oldest first. */
  list(): readonly PostedNotice[]
  /** The app is removed from the phone: its token is dead from now on. */
  removeApp(token: string): void
}

/** Of each: older ones make room. */
const most = 1000
const transports = new Set(['GCM', 'APNS', 'APNS_SANDBOX'])

/**
 * Shows notices instead of sending them, for development and tests: apps that sleep are not woken.
 * It takes every app of the transports that Wire's clients register.
 */
export function createNoticeboard(clock: Pick<Clock, 'nowMs'>): Noticeboard {
  const posted: PostedNotice[] = []
  const dead = new Set<string>()
  const supports = (transport: string): boolean => transports.has(transport)

  return {
    supports,
    async notify(notice) {
      if (!supports(notice.transport) || dead.has(notice.token)) return 'gone'
      posted.push({ ...notice, posted: new Date(clock.nowMs()).toISOString() })
      if (posted.length > most) posted.shift()
      return 'sent'
    },
    list: () => posted,
    removeApp(token) {
      const [oldest] = dead
      if (dead.size >= most && oldest !== undefined) dead.delete(oldest)
      dead.add(token)
    },
    async [Symbol.asyncDispose]() {
      posted.length = 0
    },
  }
}
