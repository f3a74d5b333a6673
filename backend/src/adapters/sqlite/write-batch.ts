import type { SqlValue } from './values.ts'

/** One caller's write: all of its statements take effect or none. */
export interface WriteRequest {
  /** Every statement must change a row, or none takes effect and the answer is "no". */
  isConditional: boolean
  statements: readonly { id: number; params: readonly SqlValue[] }[]
}

/**
 * Writes on their way to the writer's thread, packed into one buffer that changes hands without a
 * copy. Cloning rows as objects costs the sending thread several times as much.
 */
export interface WriteBatch {
  readonly count: number
  readonly sizeBytes: number
  add(request: WriteRequest): void
  /** Hands out what was added and starts again, empty. */
  take(): Uint8Array<ArrayBuffer>
}

const tags = { null: 0, number: 1, bigint: 2, text: 3, blob: 4 } as const
const smallestBufferBytes = 16 * 1024

export function writeBatch(): WriteBatch {
  let buffer = Buffer.alloc(0)
  let length = 0
  let count = 0

  function reserve(bytes: number): void {
    if (length + bytes <= buffer.length) return
    // Not from Node's pool: the buffer is given away whole.
    const larger = Buffer.allocUnsafeSlow(
      Math.max(smallestBufferBytes, buffer.length * 2, length + bytes),
    )
    buffer.copy(larger, 0, 0, length)
    buffer = larger
  }

  function addValue(value: SqlValue): void {
    if (value === null) {
      reserve(1)
      length = buffer.writeUInt8(tags.null, length)
    } else if (typeof value === 'number') {
      reserve(9)
      length = buffer.writeUInt8(tags.number, length)
      length = buffer.writeDoubleLE(value, length)
    } else if (typeof value === 'bigint') {
      reserve(9)
      length = buffer.writeUInt8(tags.bigint, length)
      length = buffer.writeBigInt64LE(value, length)
    } else if (typeof value === 'string') {
      reserve(5 + value.length * 3)
      length = buffer.writeUInt8(tags.text, length)
      const written = buffer.write(value, length + 4)
      length = buffer.writeUInt32LE(written, length) + written
    } else {
      reserve(5 + value.length)
      length = buffer.writeUInt8(tags.blob, length)
      length = buffer.writeUInt32LE(value.length, length)
      buffer.set(value, length)
      length += value.length
    }
  }

  return {
    get count() {
      return count
    },
    get sizeBytes() {
      return length
    },
    add({ isConditional, statements }) {
      reserve(5)
      length = buffer.writeUInt8(isConditional ? 1 : 0, length)
      length = buffer.writeUInt32LE(statements.length, length)
      for (const { id, params } of statements) {
        reserve(8)
        length = buffer.writeUInt32LE(id, length)
        length = buffer.writeUInt32LE(params.length, length)
        for (const value of params) addValue(value)
      }
      count += 1
    },
    take() {
      const taken = new Uint8Array(buffer.buffer, 0, length)
      buffer = Buffer.alloc(0)
      length = 0
      count = 0
      return taken
    },
  }
}

/** The requests of a batch, in the order they were added. Blobs are views into `bytes`. */
export function* readBatch(bytes: Uint8Array<ArrayBuffer>): Generator<WriteRequest> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  function value(): SqlValue {
    const tag = buffer.readUInt8(at)
    at += 1
    if (tag === tags.null) return null
    if (tag === tags.number || tag === tags.bigint) {
      at += 8
      return tag === tags.number ? buffer.readDoubleLE(at - 8) : buffer.readBigInt64LE(at - 8)
    }
    const start = at + 4
    at = start + buffer.readUInt32LE(at)
    return tag === tags.text ? buffer.toString('utf8', start, at) : buffer.subarray(start, at)
  }

  while (at < buffer.length) {
    const isConditional = buffer.readUInt8(at) === 1
    const statements: { id: number; params: SqlValue[] }[] = Array.from({
      length: buffer.readUInt32LE(at + 1),
    })
    at += 5
    for (let index = 0; index < statements.length; index += 1) {
      const id = buffer.readUInt32LE(at)
      const params: SqlValue[] = Array.from({ length: buffer.readUInt32LE(at + 4) })
      at += 8
      for (let place = 0; place < params.length; place += 1) params[place] = value()
      statements[index] = { id, params }
    }
    yield { isConditional, statements }
  }
}
