import type { NotificationId } from '../../../contract/ids.ts'

/** Delivered on one socket and not acknowledged, in the order of delivery tags from 1. */
export interface Unacknowledged {
  /** The next delivery's tag. `id` is absent for what is not a notification. */
  add(id: NotificationId | undefined): number
  /** False when no such tag was given out. Acknowledging twice is no mistake. */
  acknowledge(tag: number, isMultiple: boolean): boolean
  readonly size: number
  /**
   * What to tell the inbox: everything up to `cursor` is acknowledged, `beyond` too. Undefined
   * while not even the first is.
   */
  progress(): { cursor: NotificationId | undefined; beyond: NotificationId[] }
}

export function createUnacknowledged(): Unacknowledged {
  interface Delivered {
    readonly id: NotificationId | undefined
    isAcknowledged: boolean
  }
  let delivered: Delivered[] = []
  /** The tag of the first in `delivered`. */
  let firstTag = 1
  let open = 0
  let cursor: NotificationId | undefined

  function acknowledgeOne(index: number): void {
    const one = delivered[index]
    if (one === undefined || one.isAcknowledged) return
    one.isAcknowledged = true
    open -= 1
  }

  function advance(): void {
    let count = 0
    for (const { id, isAcknowledged } of delivered) {
      if (!isAcknowledged) break
      cursor = id ?? cursor
      count += 1
    }
    if (count === 0) return
    delivered = delivered.slice(count)
    firstTag += count
  }

  return {
    add(id) {
      delivered.push({ id, isAcknowledged: false })
      open += 1
      return firstTag + delivered.length - 1
    },
    acknowledge(tag, isMultiple) {
      const last = firstTag + delivered.length - 1
      if (tag < 1 || tag > last) return false
      const index = tag - firstTag
      for (let at = isMultiple ? 0 : index; at <= index; at += 1) acknowledgeOne(at)
      advance()
      return true
    },
    get size() {
      return open
    },
    progress() {
      const beyond: NotificationId[] = []
      for (const { id, isAcknowledged } of delivered) {
        if (isAcknowledged && id !== undefined) beyond.push(id)
      }
      return { cursor, beyond }
    },
  }
}
