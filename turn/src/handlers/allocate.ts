import {
  lifetimes,
  type Allocation,
  type ClientPath,
  type Relay,
  type RelaySocket,
} from '../allocation/allocation.ts'
import type { KeptPort } from '../allocation/kept-ports.ts'
import { TokenBucket } from '../allocation/token-bucket.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written, type Written } from '../wire/attributes.ts'
import { parseIp } from '../wire/ip.ts'
import { watchExpiry } from './ending.ts'
import { familyQuota, quotaKeys, sourceQuota, userQuota } from './quota-keys.ts'
import { reasonOf, refuse, refuseUnknown, succeed, type Reply } from './reply.ts'
import type { RelayAddress, RelayState, Request } from './request.ts'

const udp = 17
const families: Readonly<Record<number, 4 | 6>> = { 1: 4, 2: 6 }
const familyNumbers = { 4: 1, 6: 2 } as const

/** Allocate (RFC 8656 §7.2): the checks in the order of docs/turn.md; the first that fails answers. */
export function allocate(request: Request, state: RelayState): Reply {
  const { message, allocation, path, owner } = request

  if (allocation !== undefined) {
    return isRepeated(request, allocation) ? success(allocation) : refuse(437)
  }
  if (request.isFederated) return refuse(403)

  const transport = find(message, attributes.requestedTransport)
  if (transport === undefined) return refuse(400)
  if (transport !== udp) return refuse(442)

  const isUnfragmented = find(message, attributes.dontFragment) === true
  if (isUnfragmented && !state.sockets.canForbidFragments) {
    return refuseUnknown([attributes.dontFragment.type])
  }

  const token = find(message, attributes.reservationToken)
  const even = find(message, attributes.evenPort)
  const requested = find(message, attributes.requestedAddressFamily)
  const additional = find(message, attributes.additionalAddressFamily)
  if (token !== undefined) {
    const hasFamily = requested !== undefined || additional !== undefined
    if (even !== undefined || hasFamily) return refuse(400)
  }
  const held = token && state.tokens.redeem(token, state.clock.unixSeconds())
  if (token !== undefined && held === undefined) return refuse(508)

  if (requested !== undefined && additional !== undefined) return refuse(400)
  const family = families[requested ?? familyNumbers[4]]
  const first = family && addressFor(state, family, path)
  if (additional === undefined && held === undefined && first === undefined) return refuse(440)
  if (additional !== undefined && (additional !== familyNumbers[6] || even === true)) {
    return refuse(400)
  }
  const second = additional === undefined ? undefined : addressFor(state, 6, path)
  if (additional !== undefined && first === undefined && second === undefined) return refuse(440)

  const heldAddress = held && state.addresses[held.address]
  if (held !== undefined && heldAddress === undefined) return refuse(508)
  const wanted = [heldAddress ?? first, second].filter((address) => address !== undefined)

  // Read before anything is opened: what is malformed must leave nothing behind.
  const asked = find(message, attributes.lifetime) ?? lifetimes.allocation

  const reached = reachedQuota(request, wanted, state)
  if (reached !== undefined) {
    state.events.limitReached(reached, path, owner)
    return refuse(486)
  }
  if (state.isDraining) return refuseWhileDraining(path, state)

  let kept: Kept | undefined
  const opened = wanted.map((address) => {
    if (held !== undefined) return openHeld(address, held.port, state)
    if (even !== true) return openAny(address, { isEven: even !== undefined }, state)
    const pair = openPair(address, state)
    kept = pair?.kept
    return pair?.relay
  })
  const relays = opened.filter((relay) => relay !== undefined)
  if (relays.length === 0) {
    state.events.limitReached('ports', path, owner)
    return refuse(508)
  }
  const made = newAllocation(request, relays, state, {
    grantedSeconds: Math.max(lifetimes.allocation, Math.min(asked, lifetimes.longestAllocation)),
    failedFamily: failedFamily(additional !== undefined, relays, first, second),
    token: even === true ? reserveNext(kept, state) : undefined,
  })
  return success(made)
}

function isRepeated({ message, owner }: Request, allocation: Allocation): boolean {
  return (
    Buffer.compare(allocation.transactionId, message.transactionId) === 0 &&
    allocation.owner.username === owner.username
  )
}

/** The address the client came to, if it is a relay address too, else the next in turn. */
function addressFor(state: RelayState, family: 4 | 6, path: ClientPath): RelayAddress | undefined {
  const candidates = state.addresses.filter(({ local }) => local.family === family)
  const same = candidates.find(
    ({ local }) => local.d === path.server.ip.d && local.a === path.server.ip.a,
  )
  return same ?? candidates[state.allocations.size % Math.max(1, candidates.length)]
}

function reachedQuota(
  { owner, path }: Request,
  wanted: readonly RelayAddress[],
  { quotas, limits }: RelayState,
): string | undefined {
  if (quotas.count(userQuota(owner.quotaKey)) >= limits.allocationsPerUser) {
    return 'allocationsPerUser'
  }
  if (quotas.count(sourceQuota(path.client.ip)) >= limits.allocationsPerSource) {
    return 'allocationsPerSource'
  }
  const isFull = wanted.some(
    ({ local }) => quotas.count(familyQuota(local.family)) >= limits.allocationsPerFamily,
  )
  return isFull ? 'allocationsPerFamily' : undefined
}

function refuseWhileDraining(path: ClientPath, state: RelayState): Reply {
  for (const { address, port, transport } of state.alternates) {
    const ip = parseIp(address)
    if (ip?.family !== path.client.ip.family || transport !== path.transport) continue
    return refuse(300, written(attributes.alternateServer, { ip, port }))
  }
  return refuse(508)
}

function openAny(
  address: RelayAddress,
  { isEven }: { readonly isEven: boolean },
  state: RelayState,
): Relay | undefined {
  return address.ports.pick(state.clock.monotonicSeconds(), { isEven, isPair: false }, (port) =>
    openAt(address, port, state),
  )
}

/** The port behind an even one, and what keeps it. */
interface Kept {
  readonly address: RelayAddress
  readonly port: number
  readonly by: KeptPort
}

/** The next port is kept from now on: one that another program has is of no use. */
function openPair(
  address: RelayAddress,
  state: RelayState,
): { readonly relay: Relay; readonly kept: Kept } | undefined {
  const wish = { isEven: true, isPair: true }
  return address.ports.pick(state.clock.monotonicSeconds(), wish, (port) => {
    const relay = openAt(address, port, state)
    if (relay === undefined) return undefined
    const by = state.sockets.keep({ ip: address.local, port: port + 1 })
    if (by === undefined) {
      relay.socket.close()
      return undefined
    }
    return { relay, kept: { address, port: port + 1, by } }
  })
}

/** Another process may keep it, so it stays kept until its time is over. */
function openHeld(address: RelayAddress, port: number, state: RelayState): Relay | undefined {
  return address.ports.take(port, (port) => openAt(address, port, state, true))
}

function openAt(
  address: RelayAddress,
  port: number,
  state: RelayState,
  isKept = false,
): Relay | undefined {
  const local = { ip: address.local, port }
  const socket: RelaySocket | undefined = state.sockets.open(local, isKept)
  return (
    socket && {
      local,
      advertised: { ip: address.advertised, port },
      socket,
      expiresAtSeconds: 0,
      expiry: undefined,
    }
  )
}

function failedFamily(
  isDual: boolean,
  relays: readonly Relay[],
  first: RelayAddress | undefined,
  second: RelayAddress | undefined,
): Allocation['failedFamily'] {
  if (!isDual || relays.length === 2) return undefined
  const family = relays[0]?.local.ip.family === 4 ? 6 : 4
  const isOffered = (family === 4 ? first : second) !== undefined
  return { family, code: isOffered ? 508 : 440 }
}

/** Holds the port after the first relay's for the client that brings the token. */
function reserveNext(
  kept: Kept | undefined,
  { clock, tokens, kept: keptPorts }: RelayState,
): Uint8Array | undefined {
  if (kept === undefined) return undefined
  const { address, port, by } = kept
  const untilSeconds = clock.monotonicSeconds() + lifetimes.reservation
  address.ports.hold(port, untilSeconds)
  keptPorts.add(by, untilSeconds)
  return tokens.issue({ address: address.index, port }, clock.unixSeconds() + lifetimes.reservation)
}

function newAllocation(
  { message, path, owner }: Request,
  relays: Relay[],
  state: RelayState,
  more: {
    readonly grantedSeconds: number
    readonly failedFamily: Allocation['failedFamily']
    readonly token: Uint8Array | undefined
  },
): Allocation {
  const { clock, limits, allocations } = state
  const nowMs = clock.monotonicMs()
  const { grantedSeconds } = more
  for (const relay of relays) {
    relay.expiresAtSeconds = clock.monotonicSeconds() + grantedSeconds
  }
  const allocation: Allocation = {
    id: allocations.nextId(),
    path,
    owner,
    transactionId: message.transactionId,
    grantedSeconds,
    reservationToken: more.token,
    failedFamily: more.failedFamily,
    relays,
    permissions: [],
    channels: [],
    up: new TokenBucket(limits.bitsPerSecond, nowMs),
    down: new TokenBucket(limits.bitsPerSecond, nowMs),
    traffic: { packetsUp: 0, bytesUp: 0, packetsDown: 0, bytesDown: 0 },
    isEnded: false,
  }
  allocations.add(allocation)
  for (const key of quotaKeys(allocation)) state.quotas.add(key)
  for (const { local } of relays) state.quotas.add(familyQuota(local.ip.family))
  state.sockets.attach(allocation)
  for (const relay of relays) watchExpiry(allocation, relay, state)
  state.events.allocated(allocation)
  return allocation
}

function success(allocation: Allocation): Reply {
  const { relays, failedFamily, reservationToken: token } = allocation
  const carried: Written[] = relays.map(({ advertised }) =>
    written(attributes.xorRelayedAddress, advertised),
  )
  carried.push(written(attributes.lifetime, allocation.grantedSeconds))
  carried.push(written(attributes.xorMappedAddress, allocation.path.client))
  if (token !== undefined) carried.push(written(attributes.reservationToken, token))
  if (failedFamily !== undefined) {
    const { family, code } = failedFamily
    const reason = reasonOf(code === 440 ? 440 : 508)
    carried.push(
      written(attributes.addressErrorCode, { family: familyNumbers[family], code, reason }),
    )
  }
  return succeed(...carried)
}
