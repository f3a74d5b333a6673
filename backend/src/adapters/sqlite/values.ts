import type { ColumnType } from '../../ports/wide-column.ts'

/** What SQLite stores: `uuid`, `timeuuid` and `blob` are blobs, numbers of all kinds are integers. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** Where the pairs of hex digits stand in the text of a UUID, in the order of the stored bytes. */
const uuidPairs = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]
/**
 * A version 1 UUID has the low bits of its time first (RFC 9562 §5.1). Stored with the high bits
 * first, ids sort by time, as version 6 does.
 */
const timeUuidPairs = [14, 16, 9, 11, 0, 2, 4, 6, 19, 21, 24, 26, 28, 30, 32, 34]
const noDigit = 16
/** The value of each hex digit by its character code. */
const digitOfCode = new Uint8Array(128).fill(noDigit)
for (let digit = 0; digit < 16; digit += 1) {
  const text = digit.toString(16)
  digitOfCode[text.charCodeAt(0)] = digit
  digitOfCode[text.toUpperCase().charCodeAt(0)] = digit
}

const smallestLong = -(2n ** 63n)
const largestLong = 2n ** 63n - 1n

/** The stored form of a value; a `TypeError` when the value does not fit the column's type. */
export function encodeValue(type: ColumnType, value: unknown): SqlValue {
  switch (type) {
    case 'text':
      if (typeof value === 'string') return value
      break
    case 'uuid': {
      const bytes = typeof value === 'string' && readUuid(value, uuidPairs)
      if (bytes) return bytes
      break
    }
    case 'timeuuid': {
      const bytes = typeof value === 'string' && readUuid(value, timeUuidPairs)
      if (bytes && (bytes[0] ?? 0) >>> 4 === 1) return bytes
      break
    }
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

/** Undefined for a text that is no UUID. Every row that is written has several. */
function readUuid(text: string, pairs: readonly number[]): Uint8Array | undefined {
  if (text.length !== 36) return undefined
  for (const at of [8, 13, 18, 23]) if (text[at] !== '-') return undefined
  const bytes = new Uint8Array(16)
  let index = 0
  for (const at of pairs) {
    const high = digitOfCode[text.charCodeAt(at)] ?? noDigit
    const low = digitOfCode[text.charCodeAt(at + 1)] ?? noDigit
    if (high === noDigit || low === noDigit) return undefined
    bytes[index] = (high << 4) | low
    index += 1
  }
  return bytes
}

function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return `${parts.join('-')}-${hex.slice(20)}`
}

/** Back in the order of the text. */
function timeLast(id: Uint8Array): Buffer {
  return Buffer.concat([id.subarray(4, 8), id.subarray(2, 4), id.subarray(0, 2), id.subarray(8)])
}
