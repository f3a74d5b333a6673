import * as position from '../../ports/position-token.ts'
import type { ColumnLayout } from '../../ports/table-layout.ts'
import { decodeValue, encodeValue } from './values.ts'
import type { SqlValue } from './values.ts'

/** A position in a table: the values of these columns in the last row that was read. */
export function encodePosition(
  query: string,
  columns: readonly ColumnLayout[],
  row: readonly SqlValue[],
): string {
  const values = columns.map(({ type }, index) => {
    const value = row[index]
    return value === null || value === undefined ? undefined : decodeValue(type, value)
  })
  return position.encodePosition(query, values)
}

/** @throws {MalformedPage} */
export function decodePosition(
  query: string,
  columns: readonly ColumnLayout[],
  token: string,
): SqlValue[] {
  const types = columns.map(({ type }) => type)
  return position.decodePosition(query, types, token, encodeValue)
}
