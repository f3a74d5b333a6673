import { isSameIp, type Endpoint, type Ip } from '../wire/ip.ts'
import type { Timer } from './timer-wheel.ts'
import type { TokenBucket } from './token-bucket.ts'

export type Transport = 'UDP' | 'TCP' | 'TLS'

/** Whom a client is to the relay: how it came, from where, and to which of the listeners. */
export interface FiveTuple {
  readonly transport: Transport
  readonly client: Endpoint
  readonly server: Endpoint
  /** Number of the listener: different for each pair of transport and server endpoint. */
  readonly listener: number
}

/** The way back to a client. */
export interface ClientPath extends FiveTuple {
  /** A reply: never dropped while the client is there. */
  send(bytes: Uint8Array): void
  /**
   * A relayed packet in two parts, and so many zeros: dropped when the client does not keep up.
   * `header` is reused when the call returns, `payload` is not.
   */
  relay(header: Uint8Array, payload: Uint8Array, paddingBytes: number): void
}

/** A socket on a relay address. */
export interface RelaySocket {
  /**
   * Sends a datagram to a peer; one that cannot be sent is lost, as on any network. `payload` is not
   * reused when the call returns.
   */
  send(payload: Uint8Array, peer: Endpoint, isUnfragmented: boolean): void
  close(): void
}

/** Who holds an allocation. */
export interface Owner {
  readonly username: string
  /** What quotas are counted by. */
  readonly quotaKey: string
  readonly key: Uint8Array
  /** What the key was made with from name and password. */
  readonly keyHash: 'md5' | 'sha256'
}

/** One relayed transport address. */
export interface Relay {
  /** Where the socket is bound. */
  readonly local: Endpoint
  /** What clients and peers are told; differs behind one-to-one NAT. */
  readonly advertised: Endpoint
  readonly socket: RelaySocket
  expiresAtSeconds: number
  /** When that is looked at; taken back when the relay ends before. */
  expiry: Timer | undefined
}

export interface Permission {
  readonly ip: Ip
  /** Where packets go: the local address when the peer is a relay of this process's own host. */
  readonly target: Ip
  /** The peer is this relay itself, so each packet's port is checked. */
  readonly isOwn: boolean
  expiresAtSeconds: number
}

export interface Channel {
  readonly number: number
  readonly peer: Endpoint
  readonly target: Endpoint
  expiresAtSeconds: number
}

export interface Traffic {
  packetsUp: number
  bytesUp: number
  packetsDown: number
  bytesDown: number
}

export interface Allocation {
  /** Index into the table; used again after the end. */
  readonly id: number
  readonly path: ClientPath
  readonly owner: Owner
  /** Of the Allocate that made it, to know it when it comes again. */
  readonly transactionId: Uint8Array
  readonly grantedSeconds: number
  readonly reservationToken: Uint8Array | undefined
  /** The family that got no relay although it was asked for, and why. */
  readonly failedFamily: { readonly family: 4 | 6; readonly code: number } | undefined
  /** One, or one of each family. */
  readonly relays: Relay[]
  readonly permissions: Permission[]
  readonly channels: Channel[]
  readonly up: TokenBucket
  readonly down: TokenBucket
  readonly traffic: Traffic
  isEnded: boolean
}

/** Seconds; RFC 8656 §3.2, §9, §12, §7.2. */
export const lifetimes = {
  allocation: 600,
  longestAllocation: 3600,
  permission: 300,
  channel: 600,
  /** A channel and its peer stay together for so long after the channel expired. */
  channelRest: 300,
  reservation: 30,
} as const

export function relayOf(allocation: Allocation, family: 4 | 6): Relay | undefined {
  for (const relay of allocation.relays) {
    if (relay.advertised.ip.family === family) return relay
  }
  return undefined
}

/** The live channel of that number. */
export function findChannel(
  allocation: Allocation,
  number: number,
  nowSeconds: number,
): Channel | undefined {
  const { channels } = allocation
  for (let at = 0; at < channels.length; at += 1) {
    const channel = channels[at]
    if (channel !== undefined && channel.number === number) {
      return channel.expiresAtSeconds > nowSeconds ? channel : undefined
    }
  }
  return undefined
}

/** The live channel to that peer; words as in `Ip`. */
export function findChannelTo(
  allocation: Allocation,
  family: 4 | 6,
  a: number,
  b: number,
  c: number,
  d: number,
  port: number,
  nowSeconds: number,
): Channel | undefined {
  const { channels } = allocation
  for (let at = 0; at < channels.length; at += 1) {
    const channel = channels[at]
    if (channel === undefined) continue
    const { peer } = channel
    if (
      peer.port === port &&
      peer.ip.d === d &&
      peer.ip.c === c &&
      peer.ip.b === b &&
      peer.ip.a === a &&
      peer.ip.family === family
    ) {
      return channel.expiresAtSeconds > nowSeconds ? channel : undefined
    }
  }
  return undefined
}

/** The live permission for that peer; words as in `Ip`. */
export function findPermission(
  allocation: Allocation,
  family: 4 | 6,
  a: number,
  b: number,
  c: number,
  d: number,
  nowSeconds: number,
): Permission | undefined {
  const { permissions } = allocation
  for (let at = 0; at < permissions.length; at += 1) {
    const permission = permissions[at]
    if (permission === undefined) continue
    const { ip } = permission
    if (ip.d === d && ip.c === c && ip.b === b && ip.a === a && ip.family === family) {
      return permission.expiresAtSeconds > nowSeconds ? permission : undefined
    }
  }
  return undefined
}

export interface PermittedPeer {
  readonly ip: Ip
  readonly target: Ip
  readonly isOwn: boolean
}

/** Makes room by forgetting what has expired; counts what would be there with `peers` too. */
export function countPermissionsWith(
  allocation: Allocation,
  peers: readonly Ip[],
  nowSeconds: number,
): number {
  dropWhere(allocation.permissions, ({ expiresAtSeconds }) => expiresAtSeconds <= nowSeconds)
  const known = allocation.permissions.map(({ ip }) => ip)
  for (const ip of peers) {
    if (!known.some((other) => isSameIp(other, ip))) known.push(ip)
  }
  return known.length
}

/** Installs or renews a permission; it never gets shorter. */
export function permit(allocation: Allocation, peer: PermittedPeer, untilSeconds: number): void {
  const known = allocation.permissions.find(({ ip }) => isSameIp(ip, peer.ip))
  if (known === undefined) {
    allocation.permissions.push({ ...peer, expiresAtSeconds: untilSeconds })
  } else {
    known.expiresAtSeconds = Math.max(known.expiresAtSeconds, untilSeconds)
  }
}

/** Forgets the channels whose rest is over. */
export function forgetOldChannels(allocation: Allocation, nowSeconds: number): void {
  dropWhere(
    allocation.channels,
    ({ expiresAtSeconds }) => expiresAtSeconds + lifetimes.channelRest <= nowSeconds,
  )
}

/** Takes back what is no longer allowed: permissions, and the channels that rest on them. */
export function revoke(
  allocation: Allocation,
  isAllowed: (peer: Endpoint | Ip) => boolean,
): number {
  const before = allocation.permissions.length
  dropWhere(allocation.permissions, ({ ip }) => !isAllowed(ip))
  dropWhere(
    allocation.channels,
    ({ peer }) =>
      !isAllowed(peer) || !allocation.permissions.some(({ ip }) => isSameIp(ip, peer.ip)),
  )
  return before - allocation.permissions.length
}

function dropWhere<Item>(items: Item[], isDropped: (item: Item) => boolean): void {
  let kept = 0
  for (const item of items) {
    if (!isDropped(item)) {
      items[kept] = item
      kept += 1
    }
  }
  items.length = kept
}
