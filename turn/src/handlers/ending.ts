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

/**
 * Makes sure that the end of a relay is noticed. Looks at the time it has now; when it was refreshed
 * meanwhile, looks again. Of several looks only the one that was asked for last counts, so that
 * refreshing to and fro leaves nothing behind.
 */
export function watchExpiry(allocation: Allocation, relay: Relay, state: RelayState): void {
  const atSeconds = relay.expiresAtSeconds
  if (relay.watchedAtSeconds <= atSeconds) return
  relay.watchedAtSeconds = atSeconds
  state.wheel.add(atSeconds, (nowSeconds) => {
    if (relay.watchedAtSeconds !== atSeconds) return
    if (relay.expiresAtSeconds <= nowSeconds) {
      endRelay(allocation, relay, state, 'expired')
      return
    }
    relay.watchedAtSeconds = Infinity
    watchExpiry(allocation, relay, state)
  })
}
