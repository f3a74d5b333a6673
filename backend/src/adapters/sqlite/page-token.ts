import { MalformedPage } from '../../ports/wide-column.ts'
import type { ColumnLayout } from './layout.ts'
import { decodeValue, encodeValue } from './values.ts'
import type { SqlValue } from './values.ts'

/** A position in a table: the values of these columns in the last row that was read. */
export function encodePosition(columns: readonly ColumnLayout[], row: readonly SqlValue[]): string {
  const values = columns.map(({ type }, index) => {
    const value = row[index]
    if (value === null || value === undefined) throw new TypeError('a key has no value')
    const decoded = decodeValue(type, value)
    if (typeof decoded === 'bigint') return `${decoded}`
    return decoded instanceof Uint8Array ? Buffer.from(decoded).toString('base64') : decoded
  })
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

/** Tokens come back through clients: anything but one of ours is `MalformedPage`. */
export function decodePosition(columns: readonly ColumnLayout[], token: string): SqlValue[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (!Array.isArray(values) || values.length !== columns.length) throw new MalformedPage()
    return columns.map(({ type }, index) => {
      const value: unknown = values[index]
      if (typeof value !== 'string') return encodeValue(type, value)
      if (type === 'bigint') return encodeValue(type, BigInt(value))
      return encodeValue(type, type === 'blob' ? Buffer.from(value, 'base64') : value)
    })
  } catch (cause) {
    throw cause instanceof MalformedPage ? cause : new MalformedPage({ cause })
  }
}
