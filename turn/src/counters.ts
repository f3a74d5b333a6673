/** What a process counts; each field only grows. Sums over processes are what `/metrics` shows. */
export interface Counters {
  packetsFromClients: number
  bytesFromClients: number
  packetsToClients: number
  bytesToClients: number
  packetsFromPeers: number
  bytesFromPeers: number
  packetsToPeers: number
  bytesToPeers: number
  /** By `method code`, where the code of success is 0. */
  readonly requests: Record<string, number>
  readonly drops: Record<DropReason, number>
  /** By rule of the policy. */
  readonly refusedPeers: Record<string, number>
  /** By limit. */
  readonly limits: Record<string, number>
}

export const dropReasons = [
  'not-turn',
  'malformed',
  'fingerprint',
  'unknown-attribute',
  'refusal-limit',
  'no-allocation',
  'no-channel',
  'no-permission',
  'policy',
  'bandwidth',
  'too-long',
  'send-failed',
  'slow-client',
  'wrong-class',
  'stream-limit',
  'accept-failed',
  'defect',
] as const
export type DropReason = (typeof dropReasons)[number]

export function newCounters(): Counters {
  return {
    packetsFromClients: 0,
    bytesFromClients: 0,
    packetsToClients: 0,
    bytesToClients: 0,
    packetsFromPeers: 0,
    bytesFromPeers: 0,
    packetsToPeers: 0,
    bytesToPeers: 0,
    requests: {},
    drops: Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<
      DropReason,
      number
    >,
    refusedPeers: {},
    limits: {},
  }
}

/** Adds one; names come from this program, never from the wire. */
export function countOne(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
