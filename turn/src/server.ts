import {
  findChannel,
  findChannelTo,
  findPermission,
  relayOf,
  revoke,
  type Allocation,
  type Channel,
  type ClientPath,
} from './allocation/allocation.ts'
import { countOne, type Counters, type DropReason } from './counters.ts'
import { allocate } from './handlers/allocate.ts'
import type { Authenticator, Integrity } from './handlers/authentication.ts'
import { channelBind } from './handlers/channel-bind.ts'
import { createPermission } from './handlers/create-permission.ts'
import { endAllocation } from './handlers/ending.ts'
import { refresh } from './handlers/refresh.ts'
import type { RefusalLimit } from './handlers/refusal-limit.ts'
import { refuse, refuseUnknown, succeed, type Reply } from './handlers/reply.ts'
import type { EndReason, RelayState, Request } from './handlers/request.ts'
import { strangers, type Strangers } from './handlers/strangers.ts'
import type { Network } from './policy/network.ts'
import type { PeerPolicy } from './policy/peer-policy.ts'
import * as attributes from './wire/attributes.ts'
import { find, unknownTypes, written } from './wire/attributes.ts'
import {
  channelHeaderBytes,
  channelPayloadBytes,
  kindOf,
  writeChannelHeader,
} from './wire/channel-data.ts'
import { dataHeaderBytes, dataHeaders } from './wire/data-indication.ts'
import { isSameIp, type Ip } from './wire/ip.ts'
import { MalformedMessage } from './wire/malformed-message.ts'
import {
  decodeMessage,
  hasStunHeader,
  methods,
  nameOfMethod,
  uint16,
  type ReceivedMessage,
} from './wire/message.ts'
import { isFingerprintRight, sealMessage } from './wire/protection.ts'

/** What an I/O layer hands its packets to. Nothing here knows sockets. */
export interface RelayServer {
  readonly state: RelayState
  readonly counters: Counters
  /** Anything that came from a client in one datagram, or as one frame of a stream. */
  receive(bytes: Uint8Array, path: ClientPath): void
  /** What begins like STUN and comes over UDP from where no allocation is, before it is read. */
  readonly strangers: Strangers
  /** The same as `receive` for what begins like STUN and is to be read. */
  receiveMessage(bytes: Uint8Array, path: ClientPath): void
  /** A datagram that came to a relay. */
  receiveFromPeer(allocation: Allocation, payload: Uint8Array, from: Ip, port: number): void
  /**
   * Decides about ChannelData with that number and so much payload: the channel to relay it to, or
   * undefined when it is dropped. Counts. The I/O layers that move bytes in place ask these three.
   */
  admitChannelData(allocation: Allocation, number: number, bytes: number): Channel | undefined
  /** Decides about a Send indication to that peer: where to send it to, or undefined. Counts. */
  admitSend(
    allocation: Allocation,
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
    bytes: number,
  ): Ip | undefined
  /**
   * Decides about a datagram from that peer: the number of its channel, 0 for a Data indication, -1
   * when it is dropped. Counts. The source is the one clients know, see `advertisedAddress`.
   */
  admitFromPeer(
    allocation: Allocation,
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
    bytes: number,
  ): number
  /** By which address clients know a relay of this host that sends from its local one. */
  advertisedAddress(family: 4 | 6, a: number, b: number, c: number, d: number): Ip | undefined
  drop(reason: DropReason): void
  /** Runs what is due; to be called about once a second. */
  tick(): void
  /** The client's stream is gone. */
  lose(path: ClientPath): void
  /** Takes back permissions that the new policy refuses. */
  changePolicy(policy: PeerPolicy): void
  endAll(reason: EndReason): void
}

export interface ServerDeps {
  readonly state: RelayState
  readonly counters: Counters
  /** Replaced on reload. */
  readonly current: {
    authenticator: Authenticator
    refusals: RefusalLimit
    unlimitedRefusals: readonly Network[]
  }
  readonly secureStun: boolean
  /** Something was thrown that nothing expects. */
  readonly onDefect: (error: unknown) => void
}

const handlers = new Map<number, (request: Request, state: RelayState) => Reply>([
  [methods.allocate, allocate],
  [methods.refresh, refresh],
  [methods.createPermission, createPermission],
  [methods.channelBind, channelBind],
])

export function relayServer(deps: ServerDeps): RelayServer {
  const { state, counters, current } = deps
  const { allocations, clock } = state
  const headers = dataHeaders()
  const met = strangers({
    counters,
    clock,
    current,
    perSecondInAll: () => state.limits.refusalsPerSecondInAll,
    secureStun: deps.secureStun,
  })
  const channelHeader = new Uint8Array(channelHeaderBytes)

  function drop(reason: DropReason): void {
    counters.drops[reason] += 1
  }

  function receive(bytes: Uint8Array, path: ClientPath): void {
    const kind = bytes.length < 4 ? 'other' : kindOf(bytes[0] ?? 0xff)
    if (kind === 'stun') {
      if (path.transport === 'UDP' && isStranger(path)) {
        const { ip, port } = path.client
        const replyBytes = met.meet(bytes, 0, bytes.length, ip, port)
        if (replyBytes > 0) path.send(Uint8Array.from(met.reply.subarray(0, replyBytes)))
        if (replyBytes !== 0) return
      }
      receiveMessage(bytes, path)
    } else if (kind === 'channel-data') receiveChannelData(bytes, path)
    else {
      countReceived(bytes)
      drop('not-turn')
    }
  }

  function isStranger({ listener, client }: ClientPath): boolean {
    return allocations.findBy(listener, client) === undefined
  }

  function countReceived(bytes: Uint8Array): void {
    counters.packetsFromClients += 1
    counters.bytesFromClients += bytes.length
  }

  function receiveMessage(bytes: Uint8Array, path: ClientPath): void {
    countReceived(bytes)
    try {
      dispatch(bytes, path)
    } catch (error) {
      // One client's packet must not end the calls of all others.
      drop('defect')
      deps.onDefect(error)
    }
  }

  function dispatch(bytes: Uint8Array, path: ClientPath): void {
    if (!hasStunHeader(bytes)) return drop('not-turn')
    let message: ReceivedMessage
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      return drop('malformed')
    }
    if (!isFingerprintRight(message)) return drop('fingerprint')
    if (message.class === 'request') answer(message, path)
    else if (message.class === 'indication' && message.method === methods.send) {
      receiveSend(message, path)
    } else if (message.class !== 'indication' || message.method !== methods.binding) {
      // A Binding indication keeps a way through NAT open and asks for nothing.
      drop('wrong-class')
    }
  }

  function answer(message: ReceivedMessage, path: ClientPath): void {
    const isBinding = message.method === methods.binding
    if (isBinding && !deps.secureStun) return reply(message, path, bind(message, path))
    const allocation = allocations.findBy(path.listener, path.client)
    try {
      const checked = current.authenticator.check(message, path.client, allocation)
      if (checked.kind === 'ignored') return drop('refusal-limit')
      if (checked.kind === 'foreign') {
        return reply(message, path, refuse(checked.code), checked.seal)
      }
      if (checked.kind === 'refused') return refuseUnknownSource(message, path, checked.code)
      const seal = { key: checked.owner.key, hash: checked.integrity }
      const { owner, isFederated } = checked
      const request = { message, path, owner, isFederated, allocation }
      reply(message, path, isBinding ? bind(message, path) : handle(request), seal)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      drop('malformed')
    }
  }

  /** Answers what anybody can provoke, so many times a second over UDP; see docs/turn.md. */
  function refuseUnknownSource(
    message: ReceivedMessage,
    path: ClientPath,
    code: 400 | 401 | 438,
  ): void {
    const { client } = path
    if (path.transport === 'UDP' && !met.takeRefusal(client.ip)) return drop('refusal-limit')
    reply(message, path, current.authenticator.refusal(code, client))
  }

  function handle(request: Request): Reply {
    const { message } = request
    const handler = handlers.get(message.method)
    if (handler === undefined) return refuse(400)
    const unknown = unknownTypes(message)
    if (unknown.length > 0) return refuseUnknown(unknown)
    try {
      return handler(request, state)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      return refuse(400)
    }
  }

  function bind(message: ReceivedMessage, path: ClientPath): Reply {
    const unknown = unknownTypes(message)
    if (unknown.length > 0) return refuseUnknown(unknown)
    return succeed(written(attributes.xorMappedAddress, path.client))
  }

  function reply(
    message: ReceivedMessage,
    path: ClientPath,
    reply: Reply,
    seal?: { readonly key: Uint8Array; readonly hash: Integrity },
  ): void {
    if (reply.kind === 'silence') return
    const code = reply.kind === 'error' ? reply.code : 0
    countOne(counters.requests, `${nameOfMethod(message.method)} ${String(code)}`)
    const { transactionId } = message
    const bytes = sealMessage(
      {
        class: reply.kind,
        method: message.method,
        transactionId,
        attributes: reply.attributes.map((write) => write(transactionId)),
      },
      { ...seal, hasFingerprint: message.fingerprintAt !== undefined },
    )
    counters.packetsToClients += 1
    counters.bytesToClients += bytes.length
    path.send(bytes)
  }

  /** Send (RFC 8656 §11.2): relays, or drops without a word. */
  function receiveSend(message: ReceivedMessage, path: ClientPath): void {
    const allocation = allocations.findBy(path.listener, path.client)
    if (allocation === undefined) return drop('no-allocation')
    try {
      if (unknownTypes(message).length > 0) return drop('unknown-attribute')
      const peer = find(message, attributes.xorPeerAddress)
      const payload = find(message, attributes.data)
      if (peer === undefined || payload === undefined) return drop('malformed')
      const isUnfragmented = find(message, attributes.dontFragment) === true
      if (isUnfragmented && !state.sockets.canForbidFragments) return drop('unknown-attribute')
      const { family, a, b, c, d } = peer.ip
      const target = admitSend(allocation, family, a, b, c, d, peer.port, payload.length)
      if (target === undefined) return
      relayOf(allocation, family)?.socket.send(
        payload,
        { ip: target, port: peer.port },
        isUnfragmented,
      )
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      drop('malformed')
    }
  }

  function receiveChannelData(bytes: Uint8Array, path: ClientPath): void {
    countReceived(bytes)
    const payloadBytes = channelPayloadBytes(bytes, 0, bytes.length)
    if (payloadBytes < 0) return drop('malformed')
    const allocation = allocations.findBy(path.listener, path.client)
    if (allocation === undefined) return drop('no-allocation')
    const channel = admitChannelData(allocation, uint16(bytes, 0), payloadBytes)
    if (channel === undefined) return
    const payload = bytes.subarray(channelHeaderBytes, channelHeaderBytes + payloadBytes)
    relayOf(allocation, channel.peer.ip.family)?.socket.send(payload, channel.target, false)
  }

  function admitChannelData(
    allocation: Allocation,
    number: number,
    bytes: number,
  ): Channel | undefined {
    const channel = findChannel(allocation, number, clock.monotonicSeconds())
    if (channel === undefined || relayOf(allocation, channel.peer.ip.family) === undefined) {
      drop('no-channel')
      return undefined
    }
    return passUp(allocation, bytes) ? channel : undefined
  }

  function admitSend(
    allocation: Allocation,
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
    bytes: number,
  ): Ip | undefined {
    const permission = findPermission(allocation, family, a, b, c, d, clock.monotonicSeconds())
    if (permission === undefined || relayOf(allocation, family) === undefined) {
      drop('no-permission')
      return undefined
    }
    if (permission.isOwn && !state.policy.isRelayPort(port)) {
      drop('policy')
      return undefined
    }
    return passUp(allocation, bytes) ? permission.target : undefined
  }

  function passUp(allocation: Allocation, bytes: number): boolean {
    if (!allocation.up.take(bytes, clock.monotonicMs())) {
      drop('bandwidth')
      return false
    }
    allocation.traffic.packetsUp += 1
    allocation.traffic.bytesUp += bytes
    counters.packetsToPeers += 1
    counters.bytesToPeers += bytes
    return true
  }

  function admitFromPeer(
    allocation: Allocation,
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
    bytes: number,
  ): number {
    counters.packetsFromPeers += 1
    counters.bytesFromPeers += bytes
    const nowSeconds = clock.monotonicSeconds()
    const channel = findChannelTo(allocation, family, a, b, c, d, port, nowSeconds)
    if (channel === undefined) {
      const permission = findPermission(allocation, family, a, b, c, d, nowSeconds)
      if (permission === undefined) {
        drop('no-permission')
        return -1
      }
      if (permission.isOwn && !state.policy.isRelayPort(port)) {
        drop('policy')
        return -1
      }
    }
    if (!allocation.down.take(bytes, clock.monotonicMs())) {
      drop('bandwidth')
      return -1
    }
    allocation.traffic.packetsDown += 1
    allocation.traffic.bytesDown += bytes
    counters.packetsToClients += 1
    counters.bytesToClients +=
      bytes + (channel === undefined ? dataHeaderBytes(family) : channelHeaderBytes)
    return channel === undefined ? 0 : channel.number
  }

  const translated = state.addresses.filter(({ local, advertised }) => !isSameIp(local, advertised))

  function advertisedAddress(
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
  ): Ip | undefined {
    for (let at = 0; at < translated.length; at += 1) {
      const address = translated[at]
      if (address === undefined) continue
      const { local } = address
      const isIt = local.d === d && local.c === c && local.b === b && local.a === a
      if (isIt && local.family === family) return address.advertised
    }
    return undefined
  }

  function receiveFromPeer(
    allocation: Allocation,
    payload: Uint8Array,
    source: Ip,
    port: number,
  ): void {
    // A relay of this host sends from its local address; clients know it by the other.
    const from = advertisedAddress(source.family, source.a, source.b, source.c, source.d) ?? source
    const { family, a, b, c, d } = from
    const number = admitFromPeer(allocation, family, a, b, c, d, port, payload.length)
    if (number < 0) return
    if (number > 0) {
      writeChannelHeader(channelHeader, 0, number, payload.length)
      const padding = allocation.path.transport === 'UDP' ? 0 : -payload.length & 3
      allocation.path.relay(channelHeader, payload, padding)
      return
    }
    if (payload.length > 0xffff - 64) return drop('too-long')
    const header = new Uint8Array(dataHeaderBytes(family))
    headers.write(header, 0, family, a, b, c, d, port, payload.length)
    allocation.path.relay(header, payload, -payload.length & 3)
  }

  return {
    state,
    counters,
    receive,
    strangers: met,
    receiveMessage,
    receiveFromPeer,
    admitChannelData,
    admitSend,
    admitFromPeer,
    advertisedAddress,
    drop,
    tick() {
      state.wheel.tick(clock.monotonicSeconds())
    },
    lose(path) {
      const allocation = allocations.findBy(path.listener, path.client)
      if (allocation?.path === path) endAllocation(allocation, state, 'client gone')
    },
    changePolicy(policy) {
      state.policy = policy
      for (const allocation of allocations.values()) {
        revoke(allocation, (peer) => {
          const verdict = 'ip' in peer ? policy.judgeEndpoint(peer) : policy.judge(peer)
          if (!verdict.isAllowed) {
            const ip = 'ip' in peer ? peer.ip : peer
            state.events.refusedPeer(allocation.path, allocation.owner, ip, verdict)
          }
          return verdict.isAllowed
        })
      }
    },
    endAll(reason) {
      for (const allocation of Array.from(allocations.values()))
        endAllocation(allocation, state, reason)
    },
  }
}
