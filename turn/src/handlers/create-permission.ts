import { countPermissionsWith, lifetimes, permit, relayOf } from '../allocation/allocation.ts'
import * as attributes from '../wire/attributes.ts'
import { findAll } from '../wire/attributes.ts'
import { refuse, succeed, type Reply } from './reply.ts'
import type { RelayState, Request } from './request.ts'
import { targetOf } from './target.ts'

/** CreatePermission (RFC 8656 §10.2): all of the peers, or none. */
export function createPermission(request: Request, state: RelayState): Reply {
  const { message, allocation, path, owner } = request
  if (allocation === undefined) return refuse(437)
  const peers = findAll(message, attributes.xorPeerAddress).map(({ ip }) => ip)
  if (peers.length === 0) return refuse(400)
  if (peers.some(({ family }) => relayOf(allocation, family) === undefined)) return refuse(443)

  const judged = peers.map((ip) => ({ ip, verdict: state.policy.judge(ip) }))
  const forbidden = judged.find(({ verdict }) => !verdict.isAllowed)
  if (forbidden !== undefined) {
    state.events.refusedPeer(path, owner, forbidden.ip, forbidden.verdict)
    return refuse(403)
  }
  const nowSeconds = state.clock.monotonicSeconds()
  if (countPermissionsWith(allocation, peers, nowSeconds) > state.limits.permissions) {
    state.events.limitReached('permissions', path, owner)
    return refuse(508)
  }
  for (const { ip, verdict } of judged) {
    const peer = { ip, target: targetOf(ip, state), isOwn: verdict.isOwn }
    permit(allocation, peer, nowSeconds + lifetimes.permission)
  }
  return succeed()
}
