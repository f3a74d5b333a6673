/** Things that are looked at again at some second; finer and later than it can be, none is. */
export interface TimerWheel {
  /** Calls `onDue` at that second, or at the next tick if it has passed. */
  add(atSeconds: number, onDue: (nowSeconds: number) => void): void
  /** Calls everything that is due. A call may add again. */
  tick(nowSeconds: number): void
}

interface Timer {
  readonly atSeconds: number
  readonly onDue: (nowSeconds: number) => void
}

/** One list for each second of the longest time that occurs; later ones wait another turn. */
export function timerWheel(startSeconds: number, slotCount = 4096): TimerWheel {
  const slots: (Timer[] | undefined)[] = Array<Timer[] | undefined>(slotCount).fill(undefined)
  let nextSeconds = startSeconds

  return {
    add(atSeconds, onDue) {
      const at = Math.max(atSeconds, nextSeconds)
      const slot = at % slotCount
      const timers = slots[slot]
      if (timers === undefined) slots[slot] = [{ atSeconds: at, onDue }]
      else timers.push({ atSeconds: at, onDue })
    },
    tick(nowSeconds) {
      // After a long stop each slot is looked at once.
      const first = Math.max(nextSeconds, nowSeconds - slotCount + 1)
      nextSeconds = nowSeconds + 1
      for (let second = first; second <= nowSeconds; second += 1) {
        const slot = second % slotCount
        const timers = slots[slot]
        if (timers === undefined) continue
        slots[slot] = undefined
        for (const timer of timers) {
          if (timer.atSeconds <= nowSeconds) timer.onDue(nowSeconds)
          else this.add(timer.atSeconds, timer.onDue)
        }
      }
    },
  }
}
