import {
  countPermissionsWith,
  forgetOldChannels,
  lifetimes,
  permit,
  relayOf,
} from '../allocation/allocation.ts'
import * as attributes from '../wire/attributes.ts'
import { find } from '../wire/attributes.ts'
import { firstChannel, lastChannel } from '../wire/channel-data.ts'
import { isSameEndpoint } from '../wire/ip.ts'
import { refuse, succeed, type Reply } from './reply.ts'
import type { RelayState, Request } from './request.ts'
import { targetOf } from './target.ts'

/** ChannelBind (RFC 8656 §12.2). Installs a permission that lasts as long as the channel. */
export function channelBind(request: Request, state: RelayState): Reply {
  const { message, allocation, path, owner } = request
  if (allocation === undefined) return refuse(437)
  const number = find(message, attributes.channelNumber)
  const peer = find(message, attributes.xorPeerAddress)
  if (number === undefined || peer === undefined) return refuse(400)
  if (number < firstChannel || number > lastChannel) return refuse(400)

  const nowSeconds = state.clock.monotonicSeconds()
  forgetOldChannels(allocation, nowSeconds)
  const ofNumber = allocation.channels.find((channel) => channel.number === number)
  const ofPeer = allocation.channels.find((channel) => isSameEndpoint(channel.peer, peer))
  if (ofNumber !== ofPeer) return refuse(400)

  if (relayOf(allocation, peer.ip.family) === undefined) return refuse(443)
  const verdict = state.policy.judgeEndpoint(peer)
  if (!verdict.isAllowed) {
    state.events.refusedPeer(path, owner, peer.ip, verdict)
    return refuse(403)
  }
  if (ofNumber === undefined && allocation.channels.length >= state.limits.channels) {
    state.events.limitReached('channels', path, owner)
    return refuse(508)
  }
  if (countPermissionsWith(allocation, [peer.ip], nowSeconds) > state.limits.permissions) {
    state.events.limitReached('permissions', path, owner)
    return refuse(508)
  }

  const expiresAtSeconds = nowSeconds + lifetimes.channel
  const target = targetOf(peer.ip, state)
  if (ofNumber === undefined) {
    const channel = { number, peer, target: { ip: target, port: peer.port }, expiresAtSeconds }
    allocation.channels.push(channel)
  } else {
    ofNumber.expiresAtSeconds = expiresAtSeconds
  }
  permit(allocation, { ip: peer.ip, target, isOwn: verdict.isOwn }, expiresAtSeconds)
  return succeed()
}
