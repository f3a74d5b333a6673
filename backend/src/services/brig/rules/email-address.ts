import type { Email } from '../../../contract/brig/user-fields.ts'

/** RFC 5321 §4.5.3.1: a path has 256 octets with its angle brackets. */
const maxLength = 254
const maxLocalLength = 64

/** A dot-atom (RFC 5322 §3.2.3), or beyond ASCII (RFC 6531); no quotes, spaces, comments. */
const local = /^[^\s\p{Cc}"(),:;<>@[\\\].]+(\.[^\s\p{Cc}"(),:;<>@[\\\].]+)*$/u
const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const domain = new RegExp(`^(${label}\\.)*${label}$`, 'i')

/** The address without space around it; undefined when it is none. Its case is kept. */
export function parseEmail(text: string): Email | undefined {
  const address = text.trim()
  const at = address.lastIndexOf('@')
  if (at === -1 || address.length > maxLength || at > maxLocalLength) return undefined
  const isAddress = local.test(address.slice(0, at)) && domain.test(address.slice(at + 1))
  return isAddress ? (address as Email) : undefined
}

/** Two addresses with the same key are the same address. */
export const emailKey = (email: Email): string => email.toLowerCase()

export const emailDomain = (email: Email): string =>
  email.slice(email.lastIndexOf('@') + 1).toLowerCase()
