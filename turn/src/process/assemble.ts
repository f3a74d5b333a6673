import { allocationTable } from '../allocation/allocations.ts'
import { keptPorts } from '../allocation/kept-ports.ts'
import { ports, type Share } from '../allocation/ports.ts'
import { quotas } from '../allocation/quotas.ts'
import { timerWheel } from '../allocation/timer-wheel.ts'
import type { Clock } from '../clock.ts'
import type { Addresses, Config } from '../config.ts'
import { newCounters } from '../counters.ts'
import { authenticator } from '../handlers/authentication.ts'
import { nonces } from '../handlers/nonce.ts'
import { refusalLimit } from '../handlers/refusal-limit.ts'
import { reservationTokens } from '../handlers/reservation-token.ts'
import type { RelaySockets, RelayState } from '../handlers/request.ts'
import { users, type Secrets } from '../handlers/users.ts'
import { network } from '../policy/network.ts'
import { peerPolicy } from '../policy/peer-policy.ts'
import { relayEvents, type EventLog } from '../relay-events.ts'
import { relayServer, type RelayServer, type ServerDeps } from '../server.ts'
import { parseIp, type Ip } from '../wire/ip.ts'

/** What a process of the relay needs to know; the supervisor reads it from files, once for all. */
export interface Settings {
  readonly config: Config
  readonly addresses: Addresses
  readonly secrets: Secrets
  /** Of nonces and tokens, the same in all processes. */
  readonly key: Uint8Array
}

export interface Assembled {
  readonly server: RelayServer
  /** Takes over what may change while the relay runs: secrets, lists of peers, limits. */
  reload(settings: Settings): void
}

/** Puts the parts of one process together; the sockets come from the I/O layer. */
export function assembleServer(
  settings: Settings,
  deps: {
    readonly share: Share
    readonly sockets: RelaySockets
    readonly clock: Clock
    readonly log: EventLog
  },
): Assembled {
  const { config, key } = settings
  const { share, sockets, clock, log } = deps
  const counters = newCounters()
  const events = relayEvents(log, counters, clock)
  const relayNonces = nonces(key, config.sha256)

  const currentOf = ({ config, secrets }: Settings): ServerDeps['current'] => ({
    authenticator: authenticator({
      users: users(secrets, config.realm),
      nonces: relayNonces,
      realm: config.realm,
      offersSha256: config.sha256,
      strictExpiry: config.credentials.strictExpiry,
      unixSeconds: () => clock.unixSeconds(),
      monotonicSeconds: () => clock.monotonicSeconds(),
      guessesPerSecond: Math.max(50, config.limits.refusalsPerSecond),
    }),
    refusals: refusalLimit(config.limits.refusalsPerSecond),
    unlimitedRefusals: config.limits.refusalsUnlimited.map(network),
  })

  const { from, to, restSeconds } = config.relay.ports
  const addresses = settings.addresses.relay.map((address, index) => ({
    index,
    local: ipOf(address),
    advertised: ipOf(config.relay.external[address] ?? address),
    ports: ports({ from, to, restSeconds }, share),
  }))
  const policyOf = ({ config }: Settings) =>
    peerPolicy(config.peers, {
      addresses: addresses.flatMap(({ local, advertised }) => [local, advertised]),
      ports: { from, to },
    })

  const wheel = timerWheel(clock.monotonicSeconds())
  const state: RelayState = {
    allocations: allocationTable(),
    wheel,
    kept: keptPorts(wheel),
    quotas: quotas(),
    addresses,
    sockets,
    tokens: reservationTokens(key),
    clock,
    limits: config.limits,
    policy: policyOf(settings),
    alternates: config.drain.alternates,
    isDraining: false,
    events,
  }
  const current = currentOf(settings)
  const server = relayServer({
    state,
    counters,
    current,
    secureStun: config.secureStun,
    onDefect: (error) => events.defect(error),
  })
  return {
    server,
    reload(settings) {
      Object.assign(current, currentOf(settings))
      state.limits = settings.config.limits
      server.changePolicy(policyOf(settings))
    },
  }
}

/** The configuration has checked it. */
function ipOf(text: string): Ip {
  const ip = parseIp(text)
  if (ip === undefined) throw new RangeError(`${text} is not an address`)
  return ip
}
