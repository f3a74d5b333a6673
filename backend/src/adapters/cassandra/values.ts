import type { ColumnType } from '../../ports/wide-column.ts'

/** A value as the protocol carries it, or null for none. */
export type CqlValue = Buffer | null

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const smallestLong = -(2n ** 63n)
const largestLong = 2n ** 63n - 1n
/** What a Date can hold (ECMA-262 §21.4.1.1), since the driver decodes timestamps into dates. */
const largestTimestampMs = 8_640_000_000_000_000

/**
 * The form of a value on the wire (native protocol, §6), made here and not by the driver: what does
 * not fit is a `TypeError` before anything is sent, and later changes of the caller's bytes do not
 * matter.
 */
export function encodeValue(type: ColumnType, value: unknown): Buffer {
  switch (type) {
    case 'text':
      if (typeof value === 'string') return Buffer.from(value)
      break
    case 'uuid':
      if (typeof value === 'string' && uuidPattern.test(value)) return uuidBytes(value)
      break
    case 'timeuuid':
      if (typeof value === 'string' && uuidPattern.test(value) && value[14] === '1') {
        return uuidBytes(value)
      }
      break
    case 'int':
      if (typeof value === 'number' && (value | 0) === value) return int(value)
      break
    case 'timestamp':
      if (Number.isSafeInteger(value) && Math.abs(value as number) <= largestTimestampMs) {
        return long(BigInt(value as number))
      }
      break
    case 'bigint':
      if (typeof value === 'bigint' && value >= smallestLong && value <= largestLong) {
        return long(value)
      }
      break
    case 'boolean':
      if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0)
      break
    case 'blob':
      if (value instanceof Uint8Array) return Buffer.from(value)
      break
  }
  // The value itself may be a secret or a message: only its kind is told.
  throw new TypeError(`${typeof value} is not a value for a column of type ${type}`)
}

/** The domain's form of what the driver decoded. */
export function decodeValue(type: ColumnType, value: unknown): unknown {
  switch (type) {
    case 'uuid':
    case 'timeuuid':
      return String(value)
    case 'timestamp':
      return (value as Date).getTime()
    case 'blob': {
      const bytes = value as Buffer
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    case 'text':
    case 'int':
    case 'bigint':
    case 'boolean':
      return value
  }
}

export function int(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

export function long(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

/** Values of one type (native protocol v4, §6.11). */
export function list(values: readonly CqlValue[]): Buffer {
  return Buffer.concat([
    int(values.length),
    ...values.flatMap((value) => (value === null ? [int(-1)] : [int(value.length), value])),
  ])
}

const uuidBytes = (text: string): Buffer => Buffer.from(text.replaceAll('-', ''), 'hex')
