/** Enough to hide a store's latency, few enough not to flood it. */
const maxAtOnce = 64

/** `Promise.all` over many items, a bounded number of them at a time. Keeps their order. */
export async function mapBounded<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  if (items.length <= maxAtOnce) return Promise.all(items.map(work))
  const results: R[] = []
  for (let at = 0; at < items.length; at += maxAtOnce) {
    results.push(...(await Promise.all(items.slice(at, at + maxAtOnce).map(work))))
  }
  return results
}
