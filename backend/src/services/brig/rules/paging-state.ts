import type { UserId } from '../../../contract/ids.ts'

/** Connections with users of this backend; those with users of others will follow them. */
const localTable = 1

/** Where the next page starts, as opaque text: base64 of the table and the last user's 16 bytes. */
export function formatPagingState(last: UserId | undefined): string {
  const id = last === undefined ? '' : last.replaceAll('-', '')
  return Buffer.concat([Buffer.of(localTable), Buffer.from(id, 'hex')]).toString('base64')
}

/** Undefined: at the start. Takes anything that a client may send. */
export function parsePagingState(text: string): UserId | undefined | 'malformed' {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text || bytes[0] !== localTable) return 'malformed'
  if (bytes.length === 1) return undefined
  if (bytes.length !== 17) return 'malformed'
  const hex = bytes.toString('hex', 1)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') as UserId
}
