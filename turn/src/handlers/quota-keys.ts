import type { Allocation } from '../allocation/allocation.ts'
import { sourceKey } from '../allocation/quotas.ts'
import type { Ip } from '../wire/ip.ts'

/** The names under which an allocation counts. */
export const userQuota = (quotaKey: string): string => `user:${quotaKey}`
export const sourceQuota = (ip: Ip): string => `source:${sourceKey(ip)}`
export const familyQuota = (family: 4 | 6): string => `family:${String(family)}`

/** The names an allocation counts under from its first relay to its last. */
export function quotaKeys({ owner, path }: Allocation): string[] {
  return [userQuota(owner.quotaKey), sourceQuota(path.client.ip)]
}
