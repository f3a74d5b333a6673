import type { Clock } from './clock.ts'
import { countOne, type Counters } from './counters.ts'
import type { RelayEvents } from './handlers/request.ts'
import { formatEndpoint, formatIp } from './wire/ip.ts'

/** Where a process writes its lines. */
export interface EventLog {
  info(fields: Record<string, unknown>, sentence: string): void
  warn(fields: Record<string, unknown>, sentence: string): void
  error(fields: Record<string, unknown>, sentence: string): void
}

/** A limit that is hit is worth one line in so many seconds. */
const windowSeconds = 60
/** Users whose limit was logged in this window; more are counted only. */
const maxLogged = 1000

/** Logs and counts. Never payload, passwords, nonces or keys. */
export function relayEvents(
  log: EventLog,
  counters: Counters,
  clock: Clock,
): RelayEvents & { defect(error: unknown): void } {
  let window = -1
  const logged = new Set<string>()

  function isFirstInWindow(key: string): boolean {
    const now = Math.floor(clock.monotonicSeconds() / windowSeconds)
    if (now !== window) {
      window = now
      logged.clear()
    }
    if (logged.has(key) || logged.size >= maxLogged) return false
    logged.add(key)
    return true
  }

  return {
    defect(error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      if (isFirstInWindow(`defect ${text}`)) log.error({ defect: text }, 'a packet met a defect')
    },
    allocated({ id, owner, path, relays }) {
      const fields = {
        allocation: id,
        user: owner.quotaKey,
        transport: path.transport,
        client: formatEndpoint(path.client),
        relays: relays.map(({ advertised }) => formatEndpoint(advertised)),
      }
      log.info(fields, 'allocation started')
    },
    ended({ id, owner, path, traffic }, reason) {
      const { transport } = path
      log.info(
        { allocation: id, user: owner.quotaKey, transport, ...traffic, reason },
        'allocation ended',
      )
    },
    refusedPeer({ transport }, { quotaKey }, peer, { rule }) {
      countOne(counters.refusedPeers, rule)
      if (!isFirstInWindow(`peer ${quotaKey} ${rule}`)) return
      log.warn({ user: quotaKey, transport, peer: formatIp(peer), rule }, 'peer refused')
    },
    limitReached(limit, { transport, client }, { quotaKey }) {
      countOne(counters.limits, limit)
      if (!isFirstInWindow(`limit ${quotaKey} ${limit}`)) return
      log.warn({ user: quotaKey, transport, client: formatIp(client.ip), limit }, 'limit reached')
    },
  }
}
