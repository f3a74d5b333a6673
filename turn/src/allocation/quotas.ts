import type { Ip } from '../wire/ip.ts'
import { formatIp, ipv6 } from '../wire/ip.ts'

/** How many allocations somebody has, over all processes of the relay. */
export interface Quotas {
  /** Counted here and, as far as they told, by the other processes. */
  count(key: string): number
  add(key: string): void
  remove(key: string): void
  /** What changed here since the last call, for the other processes. */
  changes(): Record<string, number>
  /** What changed elsewhere. */
  merge(changes: Readonly<Record<string, number>>): void
}

export function quotas(): Quotas {
  const counts = new Map<string, number>()
  let changed = new Map<string, number>()

  function change(map: Map<string, number>, key: string, by: number): void {
    const count = (map.get(key) ?? 0) + by
    if (count === 0) map.delete(key)
    else map.set(key, count)
  }

  return {
    count: (key) => Math.max(0, counts.get(key) ?? 0),
    add(key) {
      change(counts, key, 1)
      change(changed, key, 1)
    },
    remove(key) {
      change(counts, key, -1)
      change(changed, key, -1)
    },
    changes() {
      const result = changed
      changed = new Map()
      return Object.fromEntries(result)
    },
    merge(changes) {
      for (const [key, by] of Object.entries(changes)) change(counts, key, by)
    },
  }
}

/** What counts as one source: an IPv4 address, or the /64 that a host of IPv6 may pick from. */
export function sourceKey(ip: Ip): string {
  return ip.family === 4 ? formatIp(ip) : `${formatIp(ipv6(ip.a, ip.b, 0, 0))}/64`
}
