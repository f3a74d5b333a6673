import { Unavailable } from '../../../contract/error.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { ReadOptions, WideColumnStore } from '../../../ports/wide-column.ts'

export const loginFailuresTable = table({
  name: 'brig_login_failures',
  partition: { user: of<UserId>()('uuid') },
  cluster: {},
  columns: { count: 'int', endsMs: 'timestamp' },
  writes: 'conditional',
})

export interface LoginFailureStore {
  /** How many there were in the current stretch, and when it ends. */
  get(user: UserId): Promise<{ count: number; endsMs: number } | undefined>
  /** Counts one more; the first of a stretch lets it begin. */
  add(user: UserId, withinSeconds: number): Promise<void>
}

const maxAttempts = 10

export function loginFailureStore(
  db: WideColumnStore,
  clock: Pick<Clock, 'nowMs'>,
): LoginFailureStore {
  async function read(user: UserId, options: ReadOptions = {}) {
    const row = await db.get(loginFailuresTable, { user }, options)
    return row && row.endsMs > clock.nowMs() ? row : undefined
  }

  return {
    get: (user) => read(user),
    async add(user, withinSeconds) {
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const row = await read(user, { isSerial: true })
        if (row === undefined) {
          const endsMs = clock.nowMs() + withinSeconds * 1000
          const options = { ttlSeconds: withinSeconds }
          if (await db.putIfAbsent(loginFailuresTable, { user, count: 1, endsMs }, options)) return
          // One whose time is over by our clock, though the store still shows it.
          const stale = await db.get(loginFailuresTable, { user }, { isSerial: true })
          if (stale && stale.endsMs <= clock.nowMs()) {
            await db.removeIf(loginFailuresTable, { user }, { endsMs: stale.endsMs })
          }
          continue
        }
        const ttlSeconds = Math.max(1, Math.ceil((row.endsMs - clock.nowMs()) / 1000))
        const changes = { count: row.count + 1 }
        const expected = { count: row.count, endsMs: row.endsMs }
        if (await db.updateIf(loginFailuresTable, { user }, expected, changes, { ttlSeconds }))
          return
      }
      throw new Unavailable('counting failed log-ins')
    },
  }
}
