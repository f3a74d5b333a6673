/** Values by key, the least recently used forgotten first; a value that is absent is not kept. */
export interface Memory<Key, Value> {
  /** The remembered value, or what `load` finds; callers at once share one load. */
  readonly get: (key: Key, load: () => Promise<Value | undefined>) => Promise<Value | undefined>
  /**
   * After this a load that began before is not believed: whoever changes a value calls it when the
   * change is durable, before answering.
   */
  readonly forget: (key: Key) => void
}

export function createMemory<Key, Value>(options: {
  readonly maxWeight: number
  readonly weightOf: (value: Value) => number
}): Memory<Key, Value> {
  const { maxWeight, weightOf } = options
  const entries = new Map<Key, { value: Value; weight: number }>()
  const loads = new Map<Key, Promise<Value | undefined>>()
  let totalWeight = 0

  function drop(key: Key): void {
    totalWeight -= entries.get(key)?.weight ?? 0
    entries.delete(key)
  }

  function keep(key: Key, value: Value): void {
    const weight = weightOf(value)
    entries.set(key, { value, weight })
    totalWeight += weight
    for (const oldest of entries.keys()) {
      if (totalWeight <= maxWeight) return
      drop(oldest)
    }
  }

  return {
    async get(key, load) {
      const known = entries.get(key)
      if (known) {
        // The order of a map is the order of insertion: this makes it the youngest.
        entries.delete(key)
        entries.set(key, known)
        return known.value
      }
      const begun = loads.get(key)
      if (begun) return begun
      const loading = load()
      loads.set(key, loading)
      try {
        const value = await loading
        if (value !== undefined && loads.get(key) === loading) keep(key, value)
        return value
      } finally {
        if (loads.get(key) === loading) loads.delete(key)
      }
    },
    forget(key) {
      drop(key)
      loads.delete(key)
    },
  }
}
