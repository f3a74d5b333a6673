import { createHash } from 'node:crypto'
import { MalformedPage } from './wide-column.ts'
import type { ColumnType } from './wide-column.ts'

/*
 * Page tokens of stores that page by position: the key of the last row that was read, and a short
 * hash of the query that it was read by. The hash keeps callers from mixing tokens up; it is no
 * secret, since all that a client could reach with a made-up position lies within its own query.
 */

/** @param query Everything but the limit that tells this query from others. */
export function encodePosition(query: string, values: readonly unknown[]): string {
  const encoded = values.map((value) => {
    if (value === null || value === undefined) throw new TypeError('a key has no value')
    if (typeof value === 'bigint') return `${value}`
    return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
  })
  return Buffer.from(JSON.stringify([hashOf(query), ...encoded])).toString('base64url')
}

/**
 * Tokens come back through clients: anything but one of ours for this query is `MalformedPage`.
 *
 * @param check Turns a value into the stored form; throws when it does not fit the type.
 */
export function decodePosition<Stored>(
  query: string,
  types: readonly ColumnType[],
  token: string,
  check: (type: ColumnType, value: unknown) => Stored,
): Stored[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (!Array.isArray(values) || values.length !== types.length + 1) throw new MalformedPage()
    if (values[0] !== hashOf(query)) throw new MalformedPage()
    return types.map((type, index) => {
      const value: unknown = values[index + 1]
      if (typeof value !== 'string') return check(type, value)
      if (type === 'bigint') return check(type, BigInt(value))
      return check(type, type === 'blob' ? Buffer.from(value, 'base64') : value)
    })
  } catch (cause) {
    throw cause instanceof MalformedPage ? cause : new MalformedPage({ cause })
  }
}

const hashOf = (query: string): string =>
  createHash('sha256').update(query).digest('base64url').slice(0, 10)
