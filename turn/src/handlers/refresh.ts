import { lifetimes } from '../allocation/allocation.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written } from '../wire/attributes.ts'
import { endRelay, watchExpiry } from './ending.ts'
import { refuse, succeed, type Reply } from './reply.ts'
import type { RelayState, Request } from './request.ts'

/** Refresh (RFC 8656 §8.2): of one family if it is named, else of all relays. */
export function refresh({ message, allocation }: Request, state: RelayState): Reply {
  if (allocation === undefined) return refuse(437)
  const family = find(message, attributes.requestedAddressFamily)
  const relays = allocation.relays.filter(
    ({ local }) => family === undefined || (local.ip.family === 4 ? 1 : 2) === family,
  )
  if (relays.length === 0) return refuse(443)

  const asked = find(message, attributes.lifetime) ?? lifetimes.allocation
  const granted = Math.min(asked, lifetimes.longestAllocation)
  if (granted === 0) {
    for (const relay of relays) endRelay(allocation, relay, state, 'released')
    return succeed(written(attributes.lifetime, 0))
  }
  const expiresAtSeconds = state.clock.monotonicSeconds() + granted
  for (const relay of relays) {
    relay.expiresAtSeconds = expiresAtSeconds
    watchExpiry(allocation, relay, state)
  }
  return succeed(written(attributes.lifetime, granted))
}
