/** WebSocket frames from a server (RFC 6455 §5.2): never masked, never fragmented. */

export const opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const
export type Opcode = (typeof opcode)[keyof typeof opcode]

const final = 0x80

/** One frame, ready to be written to any number of sockets. */
export function encodeFrame(kind: Opcode, payload: Uint8Array | string): Buffer {
  // Text here is ASCII, so that its length is its length in bytes.
  const length = payload.length
  const start = headerBytes(length)
  const frame = Buffer.allocUnsafe(start + length)
  frame[0] = final | kind
  if (start === 2) {
    frame[1] = length
  } else if (start === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  if (typeof payload === 'string') frame.write(payload, start, 'latin1')
  else frame.set(payload, start)
  return frame
}

function headerBytes(payloadBytes: number): 2 | 4 | 10 {
  if (payloadBytes < 126) return 2
  return payloadBytes < 0x1_0000 ? 4 : 10
}

/** A close frame; the reason is ASCII of at most 123 characters. */
export function encodeClose(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + reason.length)
  payload.writeUInt16BE(code)
  payload.write(reason, 2, 'latin1')
  return encodeFrame(opcode.close, payload)
}
