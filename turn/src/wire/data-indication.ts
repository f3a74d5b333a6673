import { randomFillSync } from 'node:crypto'
import { writeWord } from './ip.ts'
import { magicCookie, messageType, methods, setUint16 } from './message.ts'

/** The header of a Data indication: everything in front of its payload. */
export function dataHeaderBytes(family: 4 | 6): number {
  return family === 4 ? 36 : 48
}

const type = messageType('indication', methods.data)

/** Writes headers of Data indications, each with a fresh transaction id. */
export interface DataHeaders {
  /**
   * Writes the header; the payload follows, and zeros up to a multiple of 4. XOR-PEER-ADDRESS stands
   * before DATA (RFC 8656 §11.3). The peer's address as words, see `Ip`.
   */
  write(
    bytes: Uint8Array,
    at: number,
    family: 4 | 6,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
    payloadBytes: number,
  ): void
}

/** Ids are drawn in advance: asking for twelve bytes each time would cost more than all else. */
export function dataHeaders(): DataHeaders {
  const pool = new Uint8Array(12 * 512)
  let drawn = pool.length

  return {
    write(bytes, at, family, a, b, c, d, port, payloadBytes) {
      if (drawn === pool.length) {
        randomFillSync(pool)
        drawn = 0
      }
      const isIpv4 = family === 4
      const addressBytes = isIpv4 ? 8 : 20
      setUint16(bytes, at, type)
      setUint16(bytes, at + 2, 4 + addressBytes + 4 + ((payloadBytes + 3) & ~3))
      writeWord(bytes, at + 4, magicCookie)
      for (let i = 0; i < 12; i += 1) bytes[at + 8 + i] = pool[drawn + i] ?? 0
      drawn += 12

      setUint16(bytes, at + 20, 0x0012)
      setUint16(bytes, at + 22, addressBytes)
      bytes[at + 24] = 0
      bytes[at + 25] = isIpv4 ? 1 : 2
      setUint16(bytes, at + 26, port ^ (magicCookie >>> 16))
      if (isIpv4) {
        writeWord(bytes, at + 28, d ^ magicCookie)
      } else {
        writeWord(bytes, at + 28, a ^ magicCookie)
        writeXored(bytes, at + 32, b, at + 8)
        writeXored(bytes, at + 36, c, at + 12)
        writeXored(bytes, at + 40, d, at + 16)
      }
      setUint16(bytes, at + 24 + addressBytes, 0x0013)
      setUint16(bytes, at + 26 + addressBytes, payloadBytes)
    },
  }
}

function writeXored(bytes: Uint8Array, at: number, word: number, maskAt: number): void {
  bytes[at] = (word >>> 24) ^ (bytes[maskAt] ?? 0)
  bytes[at + 1] = (word >>> 16) ^ (bytes[maskAt + 1] ?? 0)
  bytes[at + 2] = (word >>> 8) ^ (bytes[maskAt + 2] ?? 0)
  bytes[at + 3] = word ^ (bytes[maskAt + 3] ?? 0)
}
