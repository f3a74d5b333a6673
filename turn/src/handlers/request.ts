import type { Allocation, ClientPath, Owner, RelaySocket } from '../allocation/allocation.ts'
import type { Allocations } from '../allocation/allocations.ts'
import type { KeptPort, KeptPorts } from '../allocation/kept-ports.ts'
import type { Ports } from '../allocation/ports.ts'
import type { Quotas } from '../allocation/quotas.ts'
import type { TimerWheel } from '../allocation/timer-wheel.ts'
import type { Clock } from '../clock.ts'
import type { Config, LimitsConfig } from '../config.ts'
import type { PeerPolicy, Verdict } from '../policy/peer-policy.ts'
import type { Endpoint, Ip } from '../wire/ip.ts'
import type { ReceivedMessage } from '../wire/message.ts'
import type { ReservationTokens } from './reservation-token.ts'

/** A request that has passed authentication. */
export interface Request {
  readonly message: ReceivedMessage
  readonly path: ClientPath
  readonly owner: Owner
  readonly isFederated: boolean
  readonly allocation: Allocation | undefined
}

/** An address on which relays are opened. */
export interface RelayAddress {
  /** Its place in the configuration; tokens name it by that. */
  readonly index: number
  readonly local: Ip
  readonly advertised: Ip
  readonly ports: Ports
}

/** Opens the sockets of relays; the only thing a handler does to the world. */
export interface RelaySockets {
  /**
   * Undefined when the port is taken or the host gives no socket. One that another process of this
   * relay keeps with `keep` can be opened if `isKept`.
   */
  open(local: Endpoint, isKept?: boolean): RelaySocket | undefined
  /**
   * Keeps other programs from a port, and takes no packets. Undefined when it is taken, or where
   * that cannot be done.
   */
  keep(local: Endpoint): KeptPort | undefined
  /** Tells whose packets the sockets of this allocation carry from now on. */
  attach(allocation: Allocation): void
  /** Whether a packet can be sent with "do not fragment". */
  readonly canForbidFragments: boolean
}

/** What the handlers of one process work on. */
export interface RelayState {
  readonly allocations: Allocations
  readonly wheel: TimerWheel
  readonly quotas: Quotas
  readonly addresses: readonly RelayAddress[]
  readonly sockets: RelaySockets
  readonly tokens: ReservationTokens
  readonly kept: KeptPorts
  readonly clock: Clock
  limits: LimitsConfig
  policy: PeerPolicy
  readonly alternates: Config['drain']['alternates']
  isDraining: boolean
  readonly events: RelayEvents
}

/** What is worth a line in the log or a count. */
export interface RelayEvents {
  allocated(allocation: Allocation): void
  ended(allocation: Allocation, reason: EndReason): void
  refusedPeer(path: ClientPath, owner: Owner, peer: Ip, verdict: Verdict): void
  limitReached(limit: string, path: ClientPath, owner: Owner): void
}

export type EndReason = 'released' | 'expired' | 'client gone' | 'relay stops' | 'socket failed'
