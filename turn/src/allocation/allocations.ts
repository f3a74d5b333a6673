import { randomInt } from 'node:crypto'
import type { Endpoint } from '../wire/ip.ts'
import type { Allocation } from './allocation.ts'

/**
 * The allocations of a process, found by who sent a packet: a hash table over typed arrays, because
 * each packet looks here and nothing may be allocated for it.
 */
export interface Allocations {
  /** `listener` and the client's endpoint, words as in `Ip`. */
  find(
    listener: number,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
  ): Allocation | undefined
  findBy(listener: number, client: Endpoint): Allocation | undefined
  /** A free id, for the allocation that is added next. */
  nextId(): number
  add(allocation: Allocation): void
  remove(allocation: Allocation): void
  values(): IterableIterator<Allocation>
  readonly size: number
}

/** Words of an entry: a, b, c, d, listener and port, id + 1 (0: free). */
const stride = 6

export function allocationTable(initialEntries = 1024): Allocations {
  const seed = randomInt(2 ** 32) | 0
  const allocations: (Allocation | undefined)[] = []
  const freeIds: number[] = []
  let mask = initialEntries - 1
  let entries = new Int32Array(initialEntries * stride)
  let size = 0

  function hash(a: number, b: number, c: number, d: number, last: number): number {
    let value = seed
    value = Math.imul(value ^ d, 0x9e3779b1)
    value = Math.imul(value ^ (value >>> 15) ^ last, 0x85ebca6b)
    if ((a | b | c) !== 0) {
      value = Math.imul(value ^ (value >>> 13) ^ a, 0xc2b2ae35)
      value = Math.imul(value ^ (value >>> 16) ^ b, 0x27d4eb2f)
      value = Math.imul(value ^ (value >>> 15) ^ c, 0x165667b1)
    }
    return (value ^ (value >>> 16)) & mask
  }

  function find(
    listener: number,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
  ): Allocation | undefined {
    const last = (listener << 16) | port
    let at = hash(a, b, c, d, last)
    for (;;) {
      const base = at * stride
      const id = entries[base + 5] ?? 0
      if (id === 0) return undefined
      if (
        entries[base + 3] === d &&
        entries[base + 4] === last &&
        entries[base + 2] === c &&
        entries[base + 1] === b &&
        entries[base] === a
      ) {
        return allocations[id - 1]
      }
      at = (at + 1) & mask
    }
  }

  function insert({ path, id }: Allocation): void {
    const { ip, port } = path.client
    const last = (path.listener << 16) | port
    let at = hash(ip.a, ip.b, ip.c, ip.d, last)
    while (entries[at * stride + 5] !== 0) at = (at + 1) & mask
    entries.set([ip.a, ip.b, ip.c, ip.d, last, id + 1], at * stride)
  }

  function grow(): void {
    mask = mask * 2 + 1
    entries = new Int32Array((mask + 1) * stride)
    for (const allocation of allocations) if (allocation !== undefined) insert(allocation)
  }

  return {
    find,
    findBy: (listener, { ip, port }) => find(listener, ip.a, ip.b, ip.c, ip.d, port),
    nextId: () => freeIds.at(-1) ?? allocations.length,
    add(allocation) {
      if (allocation.id === freeIds.at(-1)) freeIds.pop()
      allocations[allocation.id] = allocation
      size += 1
      if (size * 2 > mask) grow()
      else insert(allocation)
    },
    remove(allocation) {
      if (allocations[allocation.id] !== allocation) return
      const { ip, port } = allocation.path.client
      let at = hash(ip.a, ip.b, ip.c, ip.d, (allocation.path.listener << 16) | port)
      while (entries[at * stride + 5] !== allocation.id + 1) at = (at + 1) & mask
      allocations[allocation.id] = undefined
      freeIds.push(allocation.id)
      size -= 1
      // What lies behind a gap would not be found: it moves up, as far as its hash allows.
      let gap = at
      for (;;) {
        at = (at + 1) & mask
        const base = at * stride
        if (entries[base + 5] === 0) break
        const home = hash(
          entries[base] ?? 0,
          entries[base + 1] ?? 0,
          entries[base + 2] ?? 0,
          entries[base + 3] ?? 0,
          entries[base + 4] ?? 0,
        )
        if (((at - home) & mask) < ((at - gap) & mask)) continue
        entries.copyWithin(gap * stride, base, base + stride)
        gap = at
      }
      entries.fill(0, gap * stride, (gap + 1) * stride)
    },
    *values() {
      for (const allocation of allocations) if (allocation !== undefined) yield allocation
    },
    get size() {
      return size
    },
  }
}
