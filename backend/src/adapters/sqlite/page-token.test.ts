import {
  array,
  assert,
  base64String,
  bigInt,
  json,
  jsonValue,
  oneof,
  property,
  string,
  uuid,
} from 'fast-check'
import { expect, it } from 'vitest'
import { MalformedPage } from '../../ports/wide-column.ts'
import type { ColumnLayout } from '../../ports/table-layout.ts'
import { decodePosition, encodePosition } from './page-token.ts'
import { encodeValue } from './values.ts'

const column = (type: ColumnLayout['type']): ColumnLayout => ({
  name: type,
  type,
  isOptional: false,
})
const columns = [column('timeuuid'), column('bigint'), column('text')]

it('finds its position again', () => {
  const long = bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  assert(
    property(uuid({ version: 1 }), long, string(), (id, number, text) => {
      const row = [encodeValue('timeuuid', id), number, text]
      expect(decodePosition('q', columns, encodePosition('q', columns, row))).toEqual(row)
    }),
  )
})

it('is a position or malformed, whatever a client sends', () => {
  const encoded = json().map((text) => Buffer.from(text).toString('base64url'))
  // With the hash of the query in front, so that the values behind it are looked at.
  const known: unknown[] = JSON.parse(
    Buffer.from(encodePosition('q', [], []), 'base64url').toString(),
  ) as unknown[]
  const forged = array(jsonValue(), { maxLength: 4 }).map((values) =>
    Buffer.from(JSON.stringify([...known, ...values])).toString('base64url'),
  )
  assert(
    property(oneof(string(), base64String(), encoded, forged), (token) => {
      try {
        expect(decodePosition('q', columns, token)).toHaveLength(columns.length)
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedPage)
      }
    }),
    { numRuns: 1000 },
  )
})
