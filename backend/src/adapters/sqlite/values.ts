import type { ColumnType } from '../../ports/wide-column.ts'

/** What SQLite stores: `uuid`, `timeuuid` and `blob` are blobs, numbers of all kinds are integers. */
export type SqlValue = null | number | bigint | string | Uint8Array

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const smallestLong = -(2n ** 63n)
const largestLong = 2n ** 63n - 1n

/** The stored form of a value; a `TypeError` when the value does not fit the column's type. */
export function encodeValue(type: ColumnType, value: unknown): SqlValue {
  switch (type) {
    case 'text':
      if (typeof value === 'string') return value
      break
    case 'uuid':
      if (typeof value === 'string' && uuidText.test(value)) return uuidBytes(value)
      break
    case 'timeuuid':
      if (typeof value === 'string' && uuidText.test(value) && value[14] === '1') {
        return timeFirst(uuidBytes(value))
      }
      break
    case 'int':
      if (typeof value === 'number' && (value | 0) === value) return value
      break
    case 'timestamp':
      if (Number.isSafeInteger(value)) return value as number
      break
    case 'bigint':
      if (typeof value === 'bigint' && value >= smallestLong && value <= largestLong) return value
      break
    case 'boolean':
      if (typeof value === 'boolean') return value ? 1 : 0
      break
    case 'blob':
      if (value instanceof Uint8Array) return value
      break
  }
  // The value itself may be a secret or a message: only its kind is told.
  throw new TypeError(`${typeof value} is not a value for a column of type ${type}`)
}

/** The inverse of `encodeValue`, for values that it made. */
export function decodeValue(type: ColumnType, value: Exclude<SqlValue, null>): unknown {
  switch (type) {
    case 'text':
      return value
    case 'uuid':
      return formatUuid(value as Uint8Array)
    case 'timeuuid':
      return formatUuid(timeLast(value as Uint8Array))
    // Tables with a `bigint` column read every integer as one.
    case 'int':
    case 'timestamp':
      return Number(value)
    case 'bigint':
      return BigInt(value as number | bigint)
    case 'boolean':
      return Number(value) === 1
    case 'blob':
      return value
  }
}

function uuidBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}

function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return `${parts.join('-')}-${hex.slice(20)}`
}

/**
 * A version 1 UUID has the low bits of its time first (RFC 9562 §5.1). Stored with the high bits
 * first, ids sort by time, as version 6 does.
 */
function timeFirst(id: Buffer): Buffer {
  return Buffer.concat([id.subarray(6, 8), id.subarray(4, 6), id.subarray(0, 4), id.subarray(8)])
}

function timeLast(id: Uint8Array): Buffer {
  return Buffer.concat([id.subarray(4, 8), id.subarray(2, 4), id.subarray(0, 2), id.subarray(8)])
}
