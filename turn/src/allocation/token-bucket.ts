/**
 * What one direction may carry: `bitsPerSecond` on average, and the amount of one second at once.
 * Counts in bytes and whole milliseconds, so that taking allocates nothing.
 */
export class TokenBucket {
  readonly #bytesPerMs: number
  readonly #capacity: number
  #bytes: number
  #filledAtMs: number

  /** `bitsPerSecond` 0 lets everything through. */
  constructor(bitsPerSecond: number, nowMs: number) {
    // A byte in a millisecond is the least there is.
    this.#bytesPerMs = bitsPerSecond === 0 ? 0 : Math.max(1, Math.floor(bitsPerSecond / 8000))
    this.#capacity = this.#bytesPerMs * 1000
    this.#bytes = this.#capacity
    this.#filledAtMs = nowMs
  }

  /** Whether so many bytes may pass now; those that may not are not counted. */
  take(bytes: number, nowMs: number): boolean {
    if (this.#capacity === 0) return true
    const passed = nowMs - this.#filledAtMs
    if (passed > 0) {
      this.#filledAtMs = nowMs
      this.#bytes =
        passed >= 1000
          ? this.#capacity
          : Math.min(this.#capacity, this.#bytes + passed * this.#bytesPerMs)
    }
    if (bytes > this.#bytes) return false
    this.#bytes -= bytes
    return true
  }
}
