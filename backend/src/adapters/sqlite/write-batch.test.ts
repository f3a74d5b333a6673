import {
  array,
  assert,
  bigInt,
  boolean,
  constant,
  double,
  nat,
  oneof,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check'
import { expect, it } from 'vitest'
import { readBatch, writeBatch } from './write-batch.ts'

it('carries requests over exactly and in order', () => {
  const value = oneof(
    constant(null),
    double(),
    bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
    uint8Array({ maxLength: 100_000 }).map((bytes) => Buffer.from(bytes)),
  )
  const statement = record({ id: nat(), params: array(value) })
  const request = record({ isConditional: boolean(), statements: array(statement) })
  const batch = writeBatch()
  assert(
    property(array(request), (requests) => {
      for (const added of requests) batch.add(added)
      expect(batch.count).toBe(requests.length)
      expect([...readBatch(batch.take())]).toEqual(requests)
      expect(batch.count).toBe(0)
      expect(batch.sizeBytes).toBe(0)
    }),
  )
})
