import type { Clock } from '../clock.ts'

/** Something that wants to be looked at once in every turn of the wheel. */
export interface WheelItem {
  onTurn(nowMs: number): void
  /** Kept by the wheel: where the item lies. */
  wheelSlot: number
  wheelIndex: number
}

export interface TimerWheel<Item extends WheelItem> {
  add(item: Item): void
  remove(item: Item): void
  readonly size: number
  items(): Generator<Item>
  /** Turns until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}

/**
 * One timer for all sockets: every second one of `turnSeconds` slots is visited, so that pings are
 * spread evenly and a socket costs no timer of its own.
 */
export function createTimerWheel<Item extends WheelItem>(options: {
  clock: Clock
  turnSeconds: number
}): TimerWheel<Item> {
  const { clock, turnSeconds } = options
  const slots: Item[][] = Array.from({ length: turnSeconds }, () => [])
  let size = 0
  let hand = 0
  let next = 0

  function slotOf(index: number): Item[] {
    const slot = slots[index]
    if (slot === undefined) throw new RangeError('the wheel has no such slot')
    return slot
  }

  return {
    add(item) {
      const slot = slotOf(next)
      item.wheelSlot = next
      item.wheelIndex = slot.length
      slot.push(item)
      next = (next + 1) % turnSeconds
      size += 1
    },
    remove(item) {
      const slot = slots[item.wheelSlot]
      if (slot?.[item.wheelIndex] !== item) return
      const last = slot.pop()
      if (last !== undefined && last !== item) {
        slot[item.wheelIndex] = last
        last.wheelIndex = item.wheelIndex
      }
      item.wheelSlot = -1
      size -= 1
    },
    get size() {
      return size
    },
    *items() {
      for (const slot of slots) yield* slot.slice()
    },
    async run(signal) {
      try {
        for (;;) {
          await clock.sleep(1000, signal)
          hand = (hand + 1) % turnSeconds
          const nowMs = clock.monotonicMs()
          // A copy: an item may remove itself or others.
          for (const item of slotOf(hand).slice()) item.onTurn(nowMs)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
