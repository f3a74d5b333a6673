import type { UserId } from '../../../contract/ids.ts'

/**
 * Which requests were stored in which inboxes lately, so that a repeated call is answered and not
 * stored again. Two generations: something is remembered for one to two minutes, or until many
 * others came after it; beyond, calls that say they are repeats are looked up in the store.
 */
export interface RecentRequests {
  add(user: UserId, request: string, timeMs: number | undefined): void
  /** Undefined when unknown. */
  find(user: UserId, request: string): { readonly timeMs: number | undefined } | undefined
  /** Called once a minute. */
  turn(): void
}

export function createRecentRequests(largestGeneration = 50_000): RecentRequests {
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  const noTime = -1

  function turn(): void {
    old = young
    young = new Map()
  }

  return {
    add(user, request, timeMs) {
      if (young.size >= largestGeneration) turn()
      young.set(request + user, timeMs ?? noTime)
    },
    find(user, request) {
      const key = request + user
      const timeMs = young.get(key) ?? old.get(key)
      if (timeMs === undefined) return undefined
      return { timeMs: timeMs === noTime ? undefined : timeMs }
    },
    turn,
  }
}
