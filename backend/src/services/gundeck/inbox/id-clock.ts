import type { Clock } from '../../../platform/clock.ts'
import { ticksOfMs } from '../../../platform/time-uuid.ts'

/**
 * Gives out ticks (100 ns) that only ever rise within this process, and follow the host's clock
 * while that does not stand behind them.
 */
export interface IdClock {
  /** The ticks of the last id, or of a floor: the next id lies above. */
  readonly last: bigint
  /** The ticks that the next id would have, given out or not. */
  peek(): bigint
  /** What `peek` showed, or `atLeast` if that is later; given out once. */
  next(atLeast: bigint): bigint
  /** The next id lies above these ticks. */
  raise(floor: bigint): void
  /** Notes where the clock stands, for `positionAgo`; called as often as one likes. */
  sample(): void
  /**
   * Ticks that the clock had already reached so long ago, even if somebody set the host's clock
   * since: every younger id lies above. Undefined for times before this process.
   */
  positionAgo(ms: number): bigint | undefined
}

/** An hour's history, exact to a quarter of a minute. */
const sampleEveryMs = 15_000
const sampleCount = 240

export function createIdClock(clock: Clock): IdClock {
  let last = 0n
  let wallMs = -1
  let wallTicks = 0n
  const samples: { atMs: number; ticks: bigint }[] = []

  function peek(): bigint {
    const nowMs = clock.nowMs()
    if (nowMs !== wallMs) {
      wallMs = nowMs
      wallTicks = ticksOfMs(Math.floor(nowMs))
    }
    return wallTicks > last ? wallTicks : last + 1n
  }

  return {
    get last() {
      return last
    },
    peek,
    next(atLeast) {
      const ticks = peek()
      last = atLeast > ticks ? atLeast : ticks
      return last
    },
    raise(floor) {
      if (floor > last) last = floor
    },
    sample() {
      const atMs = clock.monotonicMs()
      const newest = samples.at(-1)
      if (newest !== undefined && atMs - newest.atMs < sampleEveryMs) return
      samples.push({ atMs, ticks: peek() - 1n })
      if (samples.length > sampleCount) samples.shift()
    },
    positionAgo(ms) {
      const beforeMs = clock.monotonicMs() - ms
      return samples.findLast(({ atMs }) => atMs <= beforeMs)?.ticks
    },
  }
}
