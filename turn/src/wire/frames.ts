import { channelHeaderBytes, kindOf } from './channel-data.ts'
import { headerBytes, uint16 } from './message.ts'

/** Cuts a stream into STUN messages and ChannelData (RFC 8656 §12.5). */
export interface FrameReader {
  /** Calls `onFrame` for each frame that is complete; false: this is no such stream, close it. */
  read(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): boolean
  /** Bytes that wait for the rest of their frame. */
  readonly waitingBytes: number
}

export const maxFrameBytes = 65_555

/**
 * The length of the frame that begins at `at`, with its padding; 0 when too little is there to tell,
 * -1 when it cannot begin so.
 */
export function frameBytes(bytes: Uint8Array, at: number): number {
  const left = bytes.length - at
  if (left === 0) return 0
  const kind = kindOf(bytes[at] ?? 0xff)
  if (kind === 'other') return -1
  if (left < 4) return 0
  const length = uint16(bytes, at + 2)
  if (kind === 'channel-data') return channelHeaderBytes + ((length + 3) & ~3)
  return headerBytes + length > maxFrameBytes || length % 4 !== 0 ? -1 : headerBytes + length
}

export function frameReader(): FrameReader {
  /** Parts of a frame that is not complete. */
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  /** Length of that frame, as far as it is known. */
  let wantedBytes = 0

  return {
    read(chunk, onFrame) {
      let bytes = chunk
      if (waitingBytes > 0) {
        waiting.push(chunk)
        waitingBytes += chunk.length
        // Joined once when the frame is there, so that single bytes do not cost their square.
        if (waitingBytes < Math.max(4, wantedBytes)) return true
        bytes = Buffer.concat(waiting)
      }
      let at = 0
      for (;;) {
        const length = frameBytes(bytes, at)
        if (length === -1) return false
        if (length === 0 || at + length > bytes.length) {
          const rest = bytes.subarray(at)
          waiting = rest.length === 0 ? [] : [rest]
          waitingBytes = rest.length
          wantedBytes = length
          return true
        }
        onFrame(bytes.subarray(at, at + length))
        at += length
      }
    },
    get waitingBytes() {
      return waitingBytes
    },
  }
}
