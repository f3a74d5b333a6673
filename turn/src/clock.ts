/** Time for everything that expires. Both run on; only the second follows changes of the clock. */
export interface Clock {
  /** Whole seconds since some moment, never going back. */
  monotonicSeconds(): number
  /** Milliseconds since the same moment. */
  monotonicMs(): number
  /** Seconds since 1970, for what is agreed with others. */
  unixSeconds(): number
}

export function systemClock(): Clock {
  return {
    monotonicSeconds: () => Math.floor(performance.now() / 1000),
    monotonicMs: () => Math.floor(performance.now()),
    unixSeconds: () => Math.floor(Date.now() / 1000),
  }
}

/** A clock that stands still until a test moves it. */
export function testClock(
  startUnixSeconds = 1_767_000_000,
): Clock & { advance(seconds: number): void } {
  let ms = 5_000
  return {
    monotonicSeconds: () => Math.floor(ms / 1000),
    monotonicMs: () => ms,
    unixSeconds: () => startUnixSeconds + Math.floor(ms / 1000) - 5,
    advance(seconds) {
      ms += seconds * 1000
    },
  }
}
