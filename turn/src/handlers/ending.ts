import type { Allocation, Relay } from '../allocation/allocation.ts'
import { isSameIp } from '../wire/ip.ts'
import { familyQuota, quotaKeys } from './quota-keys.ts'
import type { EndReason, RelayState } from './request.ts'

/** Closes one relay of an allocation, and ends the allocation with its last. */
export function endRelay(
  allocation: Allocation,
  relay: Relay,
  state: RelayState,
  reason: EndReason,
): void {
  const at = allocation.relays.indexOf(relay)
  if (at === -1) return
  if (relay.expiry !== undefined) state.wheel.remove(relay.expiry)
  relay.expiry = undefined
  relay.socket.close()
  state.addresses
    .find(({ local }) => isSameIp(local, relay.local.ip))
    ?.ports.free(relay.local.port, state.clock.monotonicSeconds())
  state.quotas.remove(familyQuota(relay.local.ip.family))
  allocation.relays.splice(at, 1)
  if (allocation.relays.length > 0) return
  allocation.isEnded = true
  for (const key of quotaKeys(allocation)) state.quotas.remove(key)
  state.allocations.remove(allocation)
  state.events.ended(allocation, reason)
}

/** Closes all relays of an allocation. */
export function endAllocation(allocation: Allocation, state: RelayState, reason: EndReason): void {
  // A copy, for each call shortens the list.
  for (const relay of allocation.relays.slice()) endRelay(allocation, relay, state, reason)
}

/** Has the relay end when its time is over; again after each change of that time. */
export function watchExpiry(allocation: Allocation, relay: Relay, state: RelayState): void {
  if (relay.expiry !== undefined) state.wheel.remove(relay.expiry)
  relay.expiry = state.wheel.add(relay.expiresAtSeconds, () => {
    relay.expiry = undefined
    endRelay(allocation, relay, state, 'expired')
  })
}
