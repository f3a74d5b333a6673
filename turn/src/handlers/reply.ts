import * as attributes from '../wire/attributes.ts'
import type { Written } from '../wire/attributes.ts'
import { written } from '../wire/attributes.ts'

/** What a handler decides; how it is put into bytes and protected is not its business. */
export type Reply =
  | { readonly kind: 'success'; readonly attributes: readonly Written[] }
  | ErrorReply
  /** No answer at all. */
  | { readonly kind: 'silence'; readonly reason: string }

export interface ErrorReply {
  readonly kind: 'error'
  readonly code: ErrorNumber
  readonly attributes: readonly Written[]
}

/** The reason of each code that this relay answers (RFC 8489 §14.8, RFC 8656 §19). */
const reasons = {
  300: 'Try Alternate',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  420: 'Unknown Attribute',
  437: 'Allocation Mismatch',
  438: 'Stale Nonce',
  440: 'Address Family not Supported',
  441: 'Wrong Credentials',
  442: 'Unsupported Transport Protocol',
  443: 'Peer Address Family Mismatch',
  486: 'Allocation Quota Reached',
  508: 'Insufficient Capacity',
} as const
export type ErrorNumber = keyof typeof reasons

export function succeed(...attributes: readonly Written[]): Reply {
  return { kind: 'success', attributes }
}

export function refuse(code: ErrorNumber, ...further: readonly Written[]): ErrorReply {
  const error = written(attributes.errorCode, { code, reason: reasons[code] })
  return { kind: 'error', code, attributes: [error, ...further] }
}

export function reasonOf(code: ErrorNumber): string {
  return reasons[code]
}

export function refuseUnknown(types: readonly number[]): Reply {
  return refuse(420, written(attributes.unknownAttributes, types))
}
