/** Things that are looked at again at some second; finer and later than it can be, none is. */
export interface TimerWheel {
  /** Calls `onDue` at that second, or at the next tick if it has passed. */
  add(atSeconds: number, onDue: (nowSeconds: number) => void): Timer
  /** Forgets a timer and all that it holds; one that was called or removed is none any more. */
  remove(timer: Timer): void
  /** Calls everything that is due. A call may add and remove. */
  tick(nowSeconds: number): void
}

export interface Timer {
  readonly atSeconds: number
  readonly onDue: (nowSeconds: number) => void
}

/** One set for each second of the longest time that occurs; later ones wait another turn. */
export function timerWheel(startSeconds: number, slotCount = 4096): TimerWheel {
  const slots: (Set<Timer> | undefined)[] = Array<Set<Timer> | undefined>(slotCount).fill(undefined)
  let nextSeconds = startSeconds
  /** What is being called right now: it may be removed too. */
  let called: Set<Timer> | undefined

  function put(timer: Timer): void {
    const slot = timer.atSeconds % slotCount
    const timers = slots[slot]
    if (timers === undefined) slots[slot] = new Set([timer])
    else timers.add(timer)
  }

  return {
    add(atSeconds, onDue) {
      const timer = { atSeconds: Math.max(atSeconds, nextSeconds), onDue }
      put(timer)
      return timer
    },
    remove(timer) {
      const slot = timer.atSeconds % slotCount
      slots[slot]?.delete(timer)
      if (slots[slot]?.size === 0) slots[slot] = undefined
      called?.delete(timer)
    },
    tick(nowSeconds) {
      // After a long stop each slot is looked at once.
      const first = Math.max(nextSeconds, nowSeconds - slotCount + 1)
      nextSeconds = nowSeconds + 1
      for (let second = first; second <= nowSeconds; second += 1) {
        const slot = second % slotCount
        called = slots[slot]
        if (called === undefined) continue
        slots[slot] = undefined
        for (const timer of called) {
          if (timer.atSeconds <= nowSeconds) timer.onDue(nowSeconds)
          else put(timer)
        }
      }
      called = undefined
    },
  }
}
