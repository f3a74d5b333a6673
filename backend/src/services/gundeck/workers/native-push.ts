import type { Logger } from 'pino'
import type { PushToken } from '../../../contract/gundeck/push-tokens.ts'
import type { ClientId, NotificationId, UserId } from '../../../contract/ids.ts'
import type { NativePush } from '../../../ports/push.ts'
import type { Append } from '../inbox/append.ts'
import type { PushTokenStore } from '../store/push-tokens.ts'

export interface NativeWaking {
  /** Wakes the apps of clients that have no socket; a notice that cannot be sent is dropped. */
  wake(
    append: Append,
    id: NotificationId,
    sockets: readonly { readonly client: ClientId | undefined }[],
  ): void
}

interface Notice {
  readonly user: UserId
  readonly id: NotificationId
  readonly priority: 'low' | 'high'
  readonly isFor: (token: PushToken) => boolean
}

/** Notices that wait for the push service; more are dropped, as the clients fetch everything. */
const largestWaiting = 1000
const atOnce = 32

export function nativePush(deps: {
  push: NativePush
  tokens: PushTokenStore
  log: Logger
}): NativeWaking {
  const { push, tokens, log } = deps
  const waiting: Notice[] = []
  let running = 0

  async function send({ user, id, priority, isFor }: Notice): Promise<void> {
    for (const token of await tokens.list(user)) {
      const { transport, app } = token
      if (!isFor(token) || !push.supports(transport, app)) continue
      const notice = { user, notification: id, transport, app, token: token.token, priority }
      if ((await push.notify(notice)) === 'gone') await tokens.remove(user, token.token)
    }
  }

  async function run(): Promise<void> {
    running += 1
    for (let notice = waiting.shift(); notice; notice = waiting.shift()) {
      try {
        await send(notice)
      } catch (error) {
        log.warn({ err: error }, 'app not woken')
      }
    }
    running -= 1
  }

  return {
    wake(append, id, sockets) {
      const { user, priority, deliveries } = append
      const reached = new Set(sockets.map(({ client }) => client))
      // A socket without client shows everything, but nobody knows on which device.
      const isFor = ({ client }: PushToken): boolean =>
        !reached.has(client) &&
        deliveries.some(({ clients }) => clients === undefined || clients.includes(client))
      if (waiting.length >= largestWaiting) {
        log.warn('apps not woken: too much waits for the push service')
        return
      }
      waiting.push({ user, id, priority, isFor })
      if (running < atOnce) void run()
    },
  }
}
