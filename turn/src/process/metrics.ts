import { newCounters, type Counters } from '../counters.ts'
import type { Report } from './messages.ts'

/** What all processes together have counted, and how each of them is. */
export interface Figures {
  readonly workers: readonly { readonly name: string; readonly report: Report }[]
  /** Counters of processes that ended. */
  readonly ended: Counters
  readonly restarts: number
  readonly isDraining: boolean
}

const scalars = [
  'packetsFromClients',
  'bytesFromClients',
  'packetsToClients',
  'bytesToClients',
  'packetsFromPeers',
  'bytesFromPeers',
  'packetsToPeers',
  'bytesToPeers',
] as const

/** Adds the second to the first. */
export function addCounters(into: Counters, counters: Counters): void {
  for (const name of scalars) into[name] += counters[name]
  for (const kind of ['requests', 'drops', 'refusedPeers', 'limits'] as const) {
    const sums: Record<string, number> = into[kind]
    for (const [name, count] of Object.entries(counters[kind])) {
      sums[name] = (sums[name] ?? 0) + count
    }
  }
}

export function sumOf(figures: Figures): Counters {
  const sum = newCounters()
  addCounters(sum, figures.ended)
  for (const { report } of figures.workers) addCounters(sum, report.counters)
  return sum
}

export function allocationsOf(figures: Figures): Record<'UDP' | 'TCP' | 'TLS', number> {
  const sum = { UDP: 0, TCP: 0, TLS: 0 }
  for (const { report } of figures.workers) {
    sum.UDP += report.allocations.UDP
    sum.TCP += report.allocations.TCP
    sum.TLS += report.allocations.TLS
  }
  return sum
}

/** The text that Prometheus reads. */
export function renderMetrics(figures: Figures): string {
  const lines: string[] = []
  const metric = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    samples: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[],
  ): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) {
      const text = Object.entries(labels)
        .map(([label, value]) => `${label}="${value}"`)
        .join(',')
      lines.push(`${name}${text === '' ? '' : `{${text}}`} ${String(value)}`)
    }
  }
  const sum = sumOf(figures)
  const byLabel = (label: string, counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([name, count]) => [{ [label]: name }, count] as const)
  const one = (name: string, help: string, value: number): void =>
    metric(name, 'counter', help, [[{}, value]])

  metric(
    'turn_total_allocations',
    'gauge',
    'Allocations at this moment.',
    byLabel('type', allocationsOf(figures)),
  )
  one('turn_traffic_rcvp', 'Packets from clients.', sum.packetsFromClients)
  one('turn_traffic_rcvb', 'Bytes from clients.', sum.bytesFromClients)
  one('turn_traffic_sentp', 'Packets to clients.', sum.packetsToClients)
  one('turn_traffic_sentb', 'Bytes to clients.', sum.bytesToClients)
  one('turn_traffic_peer_rcvp', 'Packets from peers.', sum.packetsFromPeers)
  one('turn_traffic_peer_rcvb', 'Bytes from peers.', sum.bytesFromPeers)
  one('turn_traffic_peer_sentp', 'Packets to peers.', sum.packetsToPeers)
  one('turn_traffic_peer_sentb', 'Bytes to peers.', sum.bytesToPeers)
  metric(
    'turn_requests_total',
    'counter',
    'Answered requests; code 0 is success.',
    Object.entries(sum.requests).map(([name, count]) => {
      const [method = '', code = ''] = name.split(' ')
      return [{ method, code }, count] as const
    }),
  )
  metric('turn_drops_total', 'counter', 'Packets dropped.', byLabel('reason', sum.drops))
  metric(
    'turn_refused_peers_total',
    'counter',
    'Peers refused, by the rule of the policy.',
    byLabel('rule', sum.refusedPeers),
  )
  metric('turn_limits_total', 'counter', 'Requests over a limit.', byLabel('limit', sum.limits))
  metric(
    'turn_worker_lag_milliseconds',
    'gauge',
    'The longest round since the last look.',
    figures.workers.map(({ name, report }) => [{ worker: name }, report.lagMs] as const),
  )
  metric(
    'turn_worker_resident_bytes',
    'gauge',
    'Memory of the process.',
    figures.workers.map(({ name, report }) => [{ worker: name }, report.residentBytes] as const),
  )
  one(
    'turn_worker_restarts_total',
    'Processes that ended and were started again.',
    figures.restarts,
  )
  metric('turn_draining', 'gauge', '1 while no new allocation is made.', [
    [{}, figures.isDraining ? 1 : 0],
  ])
  return `${lines.join('\n')}\n`
}
