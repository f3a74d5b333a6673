/**
 * How many requests may be sent a second time: a share of all, and some at once. When everything is
 * slow, repeating everything would make it slower still.
 */
export interface RepeatBudget {
  readonly isLeft: boolean
  /** A request begins. */
  earn(): void
  /** A request is sent again. */
  spend(): void
}

export function repeatBudget(options: { share: number; burst: number }): RepeatBudget {
  let left = options.burst
  return {
    get isLeft() {
      return left >= 1
    },
    earn() {
      left = Math.min(options.burst, left + options.share)
    },
    spend() {
      left = Math.max(0, left - 1)
    },
  }
}
