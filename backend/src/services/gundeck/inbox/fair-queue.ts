/** Takes from its lanes in turn, so that a lane with thousands of items does not hold up another. */
export interface FairQueue<Lane extends object, Item> {
  add(lane: Lane, item: Item): void
  take(): Item | undefined
  readonly size: number
}

export function createFairQueue<Lane extends object, Item>(): FairQueue<Lane, Item> {
  // In the order in which their turn comes; a Map keeps it.
  const lanes = new Map<Lane, { items: Item[]; next: number }>()
  let size = 0

  return {
    get size() {
      return size
    },
    add(lane, item) {
      const known = lanes.get(lane)
      if (known) known.items.push(item)
      else lanes.set(lane, { items: [item], next: 0 })
      size += 1
    },
    take() {
      for (const [lane, queue] of lanes) {
        const item = queue.items[queue.next]
        lanes.delete(lane)
        if (item === undefined) continue
        queue.next += 1
        size -= 1
        if (queue.next < queue.items.length) lanes.set(lane, queue)
        return item
      }
      return undefined
    },
  }
}
