import type { Client } from '../../contract/endpoint.ts'
import { Unavailable } from '../../contract/error.ts'
import type { UserEvent } from '../../contract/events/user.ts'
import type { Push, pushApi } from '../../contract/gundeck/internal.ts'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Ids } from '../../platform/ids.ts'

/** One event and who gets it. */
export interface UserPush {
  recipients: readonly UserId[]
  event: UserEvent
  /** Only these devices of the recipients; all when absent. */
  clients?: readonly ClientId[]
  /** The acting connection: its socket is skipped, because the reply tells it. */
  origin?: { user: UserId; connection: ConnectionId } | undefined
}

export interface UserEvents {
  /**
   * Resolves when the events are durable in every recipient's inbox. A gundeck that is away is asked
   * again for some seconds, then this rejects with `Unavailable`.
   */
  publish(pushes: readonly UserPush[]): Promise<void>
}

const firstDelayMs = 50
const giveUpAfterMs = 5_000

export function userEvents(deps: {
  gundeck: Client<typeof pushApi>
  clock: Clock
  ids: Ids
}): UserEvents {
  const { gundeck, clock, ids } = deps
  return {
    async publish(userPushes) {
      const pushes = userPushes
        .filter(({ recipients }) => recipients.length > 0)
        .map((push) => toPush(push, ids.uuid()))
      if (pushes.length === 0) return

      const startedMs = clock.monotonicMs()
      for (let delayMs = firstDelayMs, isRepeat = false; ; delayMs *= 2, isRepeat = true) {
        try {
          await gundeck.push({ body: { pushes, isRepeat } })
          return
        } catch (error) {
          if (!(error instanceof Unavailable)) throw error
          if (clock.monotonicMs() + delayMs - startedMs > giveUpAfterMs) throw error
        }
        await clock.sleep(delayMs)
      }
    },
  }
}

function toPush(push: UserPush, requestId: string): Push {
  const { recipients, event, clients, origin } = push
  return {
    requestId,
    recipients: [...new Set(recipients)].map((user) =>
      clients === undefined ? { user } : { user, clients: [...clients] },
    ),
    events: [event],
    isTransient: false,
    ...(origin && { origin }),
    priority: 'high',
  }
}
