import { setUint16, uint16 } from './message.ts'

/** ChannelData (RFC 8656 §12.4): a number, a length, the payload. */
export const channelHeaderBytes = 4
export const firstChannel = 0x4000
export const lastChannel = 0x4fff

/** How the first byte of a datagram or frame tells what it is (RFC 8656 §12, RFC 7983). */
export function kindOf(firstByte: number): 'stun' | 'channel-data' | 'other' {
  if (firstByte < 0x40) return 'stun'
  return firstByte < 0x50 ? 'channel-data' : 'other'
}

/** Bytes of payload, or -1 when there are fewer than the header says. Further ones are padding. */
export function channelPayloadBytes(bytes: Uint8Array, at: number, length: number): number {
  if (length < channelHeaderBytes) return -1
  const payload = uint16(bytes, at + 2)
  return payload > length - channelHeaderBytes ? -1 : payload
}

export function writeChannelHeader(
  bytes: Uint8Array,
  at: number,
  number: number,
  payloadBytes: number,
): void {
  setUint16(bytes, at, number)
  setUint16(bytes, at + 2, payloadBytes)
}
