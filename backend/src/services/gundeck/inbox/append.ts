import type { ClientId, ConnectionId, UserId } from '../../../contract/ids.ts'
import type { PayloadTemplate } from '../rules/payload.ts'

/** What some clients of the recipient are to see. */
export interface AppendDelivery {
  readonly clients: readonly ClientId[] | undefined
  readonly template: PayloadTemplate
  /** Names the stored payload when the text is stored once for many inboxes. */
  readonly sharedPayload: string | undefined
}

/** One push as it concerns one inbox. */
export interface Append {
  readonly user: UserId
  readonly request: string
  readonly deliveries: readonly AppendDelivery[]
  readonly isTransient: boolean
  /** The recipient's own connection that caused the push. */
  readonly origin: ConnectionId | undefined
  readonly eventTimeMs: number | undefined
  readonly priority: 'low' | 'high'
  /** What the row takes, roughly. */
  sizeBytes: number
  /** How long ago the first attempt began, when this is not the first. */
  readonly firstAttemptAgeMs: number | undefined
}

/** `timeMs`: the event time written, for appends that have one. */
export type AppendOutcome =
  | { readonly kind: 'stored'; readonly timeMs: number | undefined }
  /** Nothing is known to be stored, and the call may be repeated with the same request id. */
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'not-owner' }
