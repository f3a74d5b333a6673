import { isUtf8 } from 'node:buffer'
import { opcode } from './frames.ts'

/** What a client sent. `failed`: it broke the protocol; close with this code and read no more. */
export type ClientFrame =
  | { readonly kind: 'message'; readonly bytes: Buffer; readonly isText: boolean }
  | { readonly kind: 'ping'; readonly bytes: Buffer }
  | { readonly kind: 'pong' }
  /** 1005 when the client gave no code. */
  | { readonly kind: 'close'; readonly code: number }
  | { readonly kind: 'failed'; readonly code: 1002 | 1007 | 1009; readonly reason: string }

/** An object, not a function, so that a connection needs no closure to be one. */
export interface FrameTaker {
  takeFrame(frame: ClientFrame): void
}

/** What is kept between two chunks: nothing, for almost every socket at almost every time. */
export interface Unfinished {
  /** Bytes of a frame that is not complete. */
  rest: Growing | undefined
  /** A message of which some fragments have come. */
  fragments: Growing | undefined
  isText: boolean
}

/** Bytes that are added to; doubling, so that tiny pieces cost neither memory nor copies. */
interface Growing {
  bytes: Buffer
  length: number
}

const final = 0x80
const reserved = 0x70
const masked = 0x80

/**
 * Reads the frames in a chunk (RFC 6455 §5), taking over its memory.
 *
 * @param limitBytes The largest message; a larger one fails with 1009 before it is gathered.
 * @returns What to pass with the next chunk.
 */
export function readFrames(
  chunk: Buffer,
  unfinished: Unfinished | undefined,
  limitBytes: number,
  taker: FrameTaker,
): Unfinished | undefined {
  let state = unfinished
  let bytes = chunk
  if (state?.rest !== undefined) {
    append(state.rest, chunk)
    bytes = state.rest.bytes.subarray(0, state.rest.length)
  }
  let at = 0
  const fail = (code: 1002 | 1007 | 1009, reason: string): undefined => {
    taker.takeFrame({ kind: 'failed', code, reason })
    return undefined
  }

  while (bytes.length - at >= 2) {
    const first = bytes[at] ?? 0
    const second = bytes[at + 1] ?? 0
    const kind = first & 0x0f
    const isFinal = (first & final) !== 0
    const isControl = kind >= opcode.close
    if ((first & reserved) !== 0) return fail(1002, 'reserved bits are set')
    if (!isKnown(kind)) return fail(1002, 'unknown opcode')
    if ((second & masked) === 0) return fail(1002, 'frame is not masked')
    if (isControl && !isFinal) return fail(1002, 'control frame is fragmented')
    if (kind === opcode.continuation && state?.fragments === undefined) {
      return fail(1002, 'nothing to continue')
    }
    if (!isControl && kind !== opcode.continuation && state?.fragments !== undefined) {
      return fail(1002, 'a message began within another')
    }

    let length = second & 0x7f
    if (isControl && length > 125) return fail(1002, 'control frame is too long')
    let start = at + 2
    if (length === 126) {
      if (bytes.length < start + 2) break
      length = bytes.readUInt16BE(start)
      start += 2
    } else if (length === 127) {
      if (bytes.length < start + 8) break
      const long = bytes.readBigUInt64BE(start)
      length = long > BigInt(limitBytes) ? limitBytes + 1 : Number(long)
      start += 8
    }
    if (length + (isControl ? 0 : (state?.fragments?.length ?? 0)) > limitBytes) {
      return fail(1009, 'message is too large')
    }
    if (bytes.length < start + 4 + length) break

    const payload = bytes.subarray(start + 4, start + 4 + length)
    unmask(payload, bytes, start)
    at = start + 4 + length

    if (kind === opcode.close) {
      taker.takeFrame(readClose(payload))
      return undefined
    }
    if (kind === opcode.ping) taker.takeFrame({ kind: 'ping', bytes: Buffer.from(payload) })
    else if (kind === opcode.pong) taker.takeFrame({ kind: 'pong' })
    else {
      const isText = kind === opcode.continuation ? (state?.isText ?? false) : kind === opcode.text
      let message = payload
      if (kind === opcode.continuation || !isFinal) {
        state ??= { rest: undefined, fragments: undefined, isText }
        state.fragments ??= { bytes: Buffer.alloc(0), length: 0 }
        state.isText = isText
        append(state.fragments, payload)
        if (!isFinal) continue
        message = state.fragments.bytes.subarray(0, state.fragments.length)
        state.fragments = undefined
      }
      if (isText && !isUtf8(message)) return fail(1007, 'text is not UTF-8')
      // The chunk's memory goes back to the socket or is written over; the message stays.
      taker.takeFrame({ kind: 'message', bytes: Buffer.from(message), isText })
    }
  }

  if (at === bytes.length) {
    if (state?.fragments === undefined) return undefined
    state.rest = undefined
    return state
  }
  state ??= { rest: undefined, fragments: undefined, isText: false }
  if (at > 0 || state.rest === undefined) {
    const left = bytes.subarray(at)
    state.rest = { bytes: Buffer.from(left), length: left.length }
  }
  return state
}

function isKnown(kind: number): boolean {
  return kind <= opcode.binary || (kind >= opcode.close && kind <= opcode.pong)
}

function unmask(payload: Buffer, bytes: Buffer, maskAt: number): void {
  for (let index = 0; index < payload.length; index += 1) {
    payload[index] = (payload[index] ?? 0) ^ (bytes[maskAt + (index & 3)] ?? 0)
  }
}

function readClose(payload: Buffer): ClientFrame {
  if (payload.length === 0) return { kind: 'close', code: 1005 }
  if (payload.length === 1) return { kind: 'failed', code: 1002, reason: 'close code is cut' }
  const code = payload.readUInt16BE(0)
  if (!isCloseCode(code)) return { kind: 'failed', code: 1002, reason: 'unknown close code' }
  if (!isUtf8(payload.subarray(2))) {
    return { kind: 'failed', code: 1007, reason: 'close reason is not UTF-8' }
  }
  return { kind: 'close', code }
}

/** Those that may be sent (RFC 6455 §7.4), with the registered ones up to 1014. */
function isCloseCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code <= 4999)
  )
}

function append(to: Growing, bytes: Uint8Array): void {
  const length = to.length + bytes.length
  if (length > to.bytes.length) {
    const grown = Buffer.allocUnsafeSlow(Math.max(64, length, to.bytes.length * 2))
    to.bytes.copy(grown, 0, 0, to.length)
    to.bytes = grown
  }
  to.bytes.set(bytes, to.length)
  to.length = length
}
