import { hash } from 'node:crypto'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import { hashBitsOf, ticksOf, timeUuid } from '../../../platform/time-uuid.ts'

export interface NotificationIds {
  make(user: UserId, ticks: bigint): NotificationId
  /** Whether this installation made the id for this inbox. */
  isOurs(user: UserId, id: NotificationId): boolean
}

/**
 * Ids whose 62 bits besides the time are a keyed hash of inbox and time, so that `since` can be
 * judged without finding the row: it may have been erased by the acknowledgement of another device.
 *
 * @param keys The first makes ids; all of them are believed.
 */
export function notificationIds(keys: readonly [Uint8Array, ...Uint8Array[]]): NotificationIds {
  const prefixes = keys.map((key) => Buffer.from(key).toString('hex'))
  const [newest = ''] = prefixes
  // The text that is hashed has one length for one key, so appending to it forges nothing.
  const bits = (prefix: string, user: UserId, ticks: bigint): Buffer =>
    hash('sha256', prefix + user + ticks.toString(16).padStart(15, '0'), 'buffer')

  return {
    make: (user, ticks) =>
      timeUuid(ticks, bits(newest, user, ticks).subarray(0, 8)) as NotificationId,
    isOurs(user, id) {
      const ticks = ticksOf(id)
      const found = hashBitsOf(id)
      if (ticks === undefined || found === undefined) return false
      return prefixes.some((prefix) => {
        const made = bits(prefix, user, ticks)
        made[0] = (made[0] ?? 0) & 0x3f
        return made.compare(found, 0, 8, 0, 8) === 0
      })
    },
  }
}

/** Clock sequence and node above all others of a tick, in the order of the store. */
const greatest = Uint8Array.of(0x3f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f)

/** A position behind every id of that tick and before: no notification has it. */
export const positionAfter = (ticks: bigint): NotificationId =>
  timeUuid(ticks, greatest) as NotificationId
