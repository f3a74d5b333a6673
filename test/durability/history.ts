/**
 * What happened between some clients and a server, as the clients saw it: one entry after another,
 * in the order in which they happened to the recording process. As a file: JSON lines.
 *
 * Readers, sends, sockets and pages have names that are unique in a history. A message is known by
 * the name of its send, which travels as its text: sending the same words again is another send.
 */
export type HistoryEvent =
  /** A device that reads an inbox, its user's. Comes before everything that the device does. */
  | {
      readonly kind: 'reader'
      readonly reader: string
      readonly inbox: string
      readonly protocol: Protocol
    }
  | { readonly kind: 'server-started'; readonly clockOffsetMs: number }
  /** It stood still for so long, and went on. */
  | { readonly kind: 'server-frozen'; readonly ms: number }
  /** From a while before nothing more can be written, until something can. */
  | { readonly kind: 'disk-full' }
  | { readonly kind: 'disk-free' }
  /** `step`: where it killed itself; `service`: the one that ended, where each has its process. */
  | {
      readonly kind: 'server-ended'
      readonly how: 'killed' | 'stopped'
      readonly step?: string
      readonly service?: string
    }

  /**
   * The request begins; `from` and `to` are readers. The sender itself may be shown its message or
   * not: nothing is promised about that.
   */
  | {
      readonly kind: 'send'
      readonly send: string
      readonly from: string
      readonly room: string
      readonly to: readonly string[]
    }
  /** Answered with success, and the time in the answer of those that have one. */
  | { readonly kind: 'acknowledged'; readonly send: string; readonly time?: string }
  /** Answered such that nothing may have been stored, or never reached the server. */
  | { readonly kind: 'refused'; readonly send: string; readonly reason: string }
  /** No answer, or one that leaves open what was stored. */
  | { readonly kind: 'unknown'; readonly send: string; readonly reason: string }
  | { readonly kind: 'opened'; readonly socket: string; readonly reader: string }
  | { readonly kind: 'shown'; readonly socket: string; readonly notification: Shown }
  /** `/events`: the server says that something expired unseen. */
  | { readonly kind: 'missed'; readonly socket: string }
  /** `/events`: the reader acknowledges these notifications. */
  | { readonly kind: 'acks'; readonly socket: string; readonly ids: readonly string[] }
  /** `isClean`: the reader said goodbye and the server answered, so it had read everything before. */
  | { readonly kind: 'closed'; readonly socket: string; readonly isClean: boolean }

  /** The reader asks for notifications after `since`, or from the oldest. */
  | {
      readonly kind: 'asked'
      readonly page: string
      readonly reader: string
      readonly since?: string
    }
  | {
      readonly kind: 'page'
      readonly page: string
      readonly notifications: readonly Shown[]
      readonly hasMore: boolean
    }
  | { readonly kind: 'page-refused'; readonly page: string; readonly status: number }

  /**
   * Everybody who reads pages has read to the end, everybody else has an open socket, and nothing
   * has come for a while: what was sent before is delivered, or never will be.
   */
  | { readonly kind: 'quiet' }
  /** What an inbox holds, whoever it is for, after the server had time to erase. */
  | { readonly kind: 'left'; readonly inbox: string; readonly ids: readonly string[] }

/** How a device reads: `/await` with pages of `/notifications`, or `/events`. */
export type Protocol = 'await' | 'events'

export interface Shown {
  readonly id: string
  readonly events: readonly ShownEvent[]
}

/** One event of a notification, as far as it matters here. */
export interface ShownEvent {
  /** The message that it carries, if it carries one. */
  readonly send?: string
  readonly time?: string
}

export type HistoryEntry = HistoryEvent & {
  /** Milliseconds on a clock of the recording process that never goes back. */
  readonly atMs: number
}

export type History = readonly HistoryEntry[]

export interface HistoryRecorder {
  readonly entries: History
  readonly record: (event: HistoryEvent) => void
}

export function recordHistory(): HistoryRecorder {
  const entries: HistoryEntry[] = []
  return {
    entries,
    record: (event) => void entries.push({ atMs: Math.round(performance.now()), ...event }),
  }
}

export const formatHistory = (history: History): string =>
  history.map((entry) => `${JSON.stringify(entry)}\n`).join('')

export function parseHistory(text: string): HistoryEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HistoryEntry)
}
