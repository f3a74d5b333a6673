import type { Transport } from '../allocation/allocation.ts'
import type { Counters } from '../counters.ts'
import type { Certificate } from '../io/streams.ts'
import type { Settings } from './assemble.ts'

/** What the supervisor and its workers tell one another over the channel between them. */

export interface ListenerSpec {
  readonly number: number
  readonly transport: Transport
  readonly address: string
  readonly port: number
  /** A socket that was handed down; without it the worker opens its own. */
  readonly fd?: number | undefined
}

export interface StartMessage {
  readonly type: 'start'
  readonly name: string
  /** Place among the processes that share the ports of the relays. */
  readonly index: number
  readonly count: number
  readonly io: 'mmsg' | 'dgram'
  readonly settings: Settings
  readonly listeners: readonly ListenerSpec[]
  readonly certificate?: Certificate | undefined
  /** Signalled when there is a message, for who waits for packets. */
  readonly wakeFd?: number | undefined
  readonly isDraining: boolean
  /** What the other processes hold. */
  readonly quotas: Readonly<Record<string, number>>
}

export type ToWorker =
  | StartMessage
  | {
      readonly type: 'reload'
      readonly settings: Settings
      readonly certificate?: Certificate | undefined
    }
  | { readonly type: 'drain' }
  | { readonly type: 'quotas'; readonly changes: Readonly<Record<string, number>> }
  | { readonly type: 'report' }
  | { readonly type: 'stop' }

export interface Report {
  readonly counters: Counters
  readonly allocations: Readonly<Record<Transport, number>>
  readonly lagMs: number
  readonly residentBytes: number
}

export type FromWorker =
  | { readonly type: 'ready'; readonly listeners: readonly ListenerSpec[] }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'quotas'; readonly changes: Readonly<Record<string, number>> }
  | { readonly type: 'report'; readonly report: Report }
