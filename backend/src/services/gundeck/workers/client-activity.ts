import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import type { brigInternalApi } from '../../../contract/brig/internal.ts'
import type { ClientId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'

export interface ClientActivity {
  touch(user: UserId, client: ClientId): void
}

/** brig keeps the day of a client's last activity, so an hour is often enough. */
const everyMs = 60 * 60 * 1000
const largestRemembered = 10_000

/** Tells brig which clients are in use, seldom enough not to matter; failures are not retried. */
export function clientActivity(deps: {
  brig: Pick<Client<typeof brigInternalApi>, 'touchClient'>
  clock: Clock
  log: Logger
}): ClientActivity {
  const { brig, clock, log } = deps
  const touched = new Map<string, number>()
  return {
    touch(user, client) {
      const key = user + client
      const nowMs = clock.monotonicMs()
      const lastMs = touched.get(key)
      if (lastMs !== undefined && nowMs - lastMs < everyMs) return
      if (touched.size >= largestRemembered) touched.clear()
      touched.set(key, nowMs)
      brig
        .touchClient({ body: { user, client, atMs: clock.nowMs() } })
        .catch((error: unknown) => log.warn({ err: error }, 'activity of a client not noted'))
    },
  }
}
