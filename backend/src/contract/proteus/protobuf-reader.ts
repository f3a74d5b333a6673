import { MalformedBody } from '../endpoint.ts'

/** Wire types of Protocol Buffers; the groups of old are not read. */
const varint = 0
const fixed64 = 1
const lengthDelimited = 2
const fixed32 = 5

/** What `tag()` gives for a field: its number and how it is encoded. */
export const varintField = (number: number): number => (number << 3) | varint
export const bytesField = (number: number): number => (number << 3) | lengthDelimited

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Walks over a Protocol Buffers message without copying it; a general decoder would build objects
 * that the caller only takes apart again, and this is the path of every message. Whatever the bytes
 * are, each step ends in a value or in `MalformedBody`.
 */
export class ProtobufReader {
  readonly #bytes: Uint8Array
  #fieldsLeft: number
  #at = 0
  #end: number
  /** Halves of the last varint read. */
  #low = 0
  #high = 0

  /** @param maxFields How many fields all messages in it may have together, known or not. */
  constructor(bytes: Uint8Array, maxFields: number) {
    this.#bytes = bytes
    this.#fieldsLeft = maxFields
    this.#end = bytes.length
  }

  /** The fields of the whole message; see `nested`. */
  *fields(): Generator<number, void, undefined> {
    while (this.#at < this.#end) yield this.#tag()
  }

  /**
   * The fields of the message that is the next value, each as `varintField` and `bytesField` write
   * it. Before going on to the next, the caller takes the value or skips it.
   */
  *nested(): Generator<number, void, undefined> {
    const end = this.#length()
    const outerEnd = this.#end
    this.#end = end
    while (this.#at < end) yield this.#tag()
    this.#end = outerEnd
  }

  /** Passes over the value of a field. */
  skip(tag: number): void {
    switch (tag & 7) {
      case varint:
        this.#varint()
        return
      case fixed64:
        this.#advance(8)
        return
      case lengthDelimited:
        this.#at = this.#length()
        return
      case fixed32:
        this.#advance(4)
        return
      default:
        throw new MalformedBody('The protobuf message has a field of an unknown kind')
    }
  }

  bool(): boolean {
    this.#varint()
    return this.#low !== 0 || this.#high !== 0
  }

  /** An enum's number; NaN when it does not fit into 32 bits. */
  enum(): number {
    this.#varint()
    return this.#high === 0 ? this.#low : Number.NaN
  }

  /** A uint64 as lower-case hex without leading zeros. */
  hex64(): string {
    this.#varint()
    if (this.#high === 0) return this.#low.toString(16)
    return this.#high.toString(16) + this.#low.toString(16).padStart(8, '0')
  }

  /** A view, which keeps the whole message in memory. */
  bytes(): Uint8Array {
    const end = this.#length()
    const start = this.#at
    this.#at = end
    return this.#bytes.subarray(start, end)
  }

  /** Text of at most so many bytes. */
  text(maxBytes: number): string {
    const bytes = this.bytes()
    if (bytes.length > maxBytes) throw new MalformedBody('The protobuf message has a text too long')
    try {
      return utf8.decode(bytes)
    } catch (cause) {
      throw new MalformedBody('The protobuf message has a text that is not UTF-8', { cause })
    }
  }

  /** Sixteen bytes as the text of a UUID. */
  uuid(): string {
    const end = this.#length()
    if (end - this.#at !== 16) throw new MalformedBody('A user id is not 16 bytes long')
    let text = ''
    for (let index = 0; index < 16; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) text += '-'
      text += hexOfByte[this.#bytes[this.#at + index] ?? 0] ?? ''
    }
    this.#at = end
    return text
  }

  #tag(): number {
    this.#fieldsLeft -= 1
    if (this.#fieldsLeft < 0) throw new MalformedBody('The protobuf message has too many fields')
    const byte = this.#bytes[this.#at] ?? 0x80
    // Nearly all tags are one byte.
    if (byte < 0x80) {
      this.#at += 1
      return byte
    }
    this.#varint()
    if (this.#high !== 0) throw new MalformedBody('The protobuf field number is too large')
    return this.#low
  }

  /** Reads a length and gives the position after what it announces. */
  #length(): number {
    this.#varint()
    if (this.#high !== 0 || this.#low > this.#end - this.#at) throw endsEarly()
    return this.#at + this.#low
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw endsEarly()
    this.#at += count
  }

  /** Seven bits a byte, the lowest first, at most ten bytes. */
  #varint(): void {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) throw endsEarly()
      const byte = this.#bytes[this.#at] ?? 0
      this.#at += 1
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else if (shift < 63) high |= bits << (shift - 32)
      else if (bits > 1) break
      else high |= bits << 31
      if (byte < 0x80) {
        this.#low = low >>> 0
        this.#high = high >>> 0
        return
      }
    }
    throw new MalformedBody('The protobuf message has a number of more than 64 bits')
  }
}

const endsEarly = () => new MalformedBody('The protobuf message ends early')
