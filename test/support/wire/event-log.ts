interface Waiter<T> {
  readonly matches: (entry: T) => boolean
  readonly resolve: (entry: T) => void
}

/** What arrived at one client, in order of arrival, and who waits for what. */
export interface EventLog<T> {
  /** Everything that arrived so far, taken or not. */
  readonly all: readonly T[]
  add(entry: T): void
  /**
   * The first entry that matches and was not taken before, waiting up to `timeoutMs` for it. Each
   * entry is given out once, so that a second `take` of the same text asks for a second message.
   * Rejects with what did arrive.
   */
  take(matches: (entry: T) => boolean, timeoutMs: number, what?: string): Promise<T>
  /** Entries that match, taken or not. */
  seen(matches: (entry: T) => boolean): T[]
  /** Forgets everything that arrived so far; who waits goes on waiting. */
  clear(): void
  /** Makes every present and future `take` that is not satisfied yet reject with `reason`. */
  end(reason: Error): void
}

const SHOWN_ENTRIES = 12
const SHOWN_CHARACTERS = 300

export function eventLog<T>(owner: string): EventLog<T> {
  let all: T[] = []
  let untaken: T[] = []
  const waiters = new Map<Waiter<T>, (reason: Error) => void>()
  let ended: Error | undefined

  function describeArrivals(): string {
    const last = all.slice(-SHOWN_ENTRIES)
    const lines = last.map((entry) => {
      const note = untaken.includes(entry) ? '' : ' (taken before)'
      return `  ${JSON.stringify(entry).slice(0, SHOWN_CHARACTERS)}${note}`
    })
    const intro = `${all.length} arrived${all.length > last.length ? `, the last ${last.length}` : ''}`
    return [intro, ...lines].join('\n')
  }

  return {
    get all() {
      return all
    },

    add(entry) {
      all.push(entry)
      for (const waiter of waiters.keys()) {
        if (waiter.matches(entry)) return waiter.resolve(entry)
      }
      untaken.push(entry)
    },

    async take(matches, timeoutMs, what = 'the expected event') {
      const index = untaken.findIndex(matches)
      if (index >= 0) {
        const [entry] = untaken.splice(index, 1)
        return entry as T
      }
      if (ended) throw new Error(`${owner}: ${ended.message}`, { cause: ended })
      return new Promise<T>((resolve, reject) => {
        const settle = (): void => {
          clearTimeout(timer)
          waiters.delete(waiter)
        }
        const fail = (reason: string, cause?: Error): void => {
          settle()
          const message = `${owner} waited for ${what}: ${reason}; ${describeArrivals()}`
          reject(new Error(message, cause ? { cause } : {}))
        }
        const waiter: Waiter<T> = {
          matches,
          resolve(entry) {
            settle()
            resolve(entry)
          },
        }
        const timer = setTimeout(() => fail(`nothing within ${timeoutMs} ms`), timeoutMs)
        waiters.set(waiter, (reason) => fail(reason.message, reason))
      })
    },

    seen: (matches) => all.filter(matches),

    clear() {
      all = []
      untaken = []
    },

    end(reason) {
      ended ??= reason
      for (const fail of waiters.values()) fail(reason)
    },
  }
}
