import { timingSafeEqual } from 'node:crypto'
import { hmac } from '../wire/hmac.ts'

/**
 * Tokens for the port that an Allocate with EVEN-PORT held (RFC 8656 §7.2). They say themselves
 * which port, so that any process of the relay can redeem the token of any other.
 */
export interface ReservationTokens {
  /** 8 bytes: address, port, last second (8 bits), 32 bits of proof. */
  issue(held: HeldPort, untilUnixSeconds: number): Uint8Array
  /** Undefined when it is not ours or its time is over. */
  redeem(token: Uint8Array, unixSeconds: number): HeldPort | undefined
}

export interface HeldPort {
  /** Index of the relay address, below 256. */
  readonly address: number
  readonly port: number
}

const maxSeconds = 60

export function reservationTokens(key: Uint8Array): ReservationTokens {
  const proofOf = (start: Uint8Array, untilUnixSeconds: number): Uint8Array =>
    hmac('sha256', key, Buffer.from(`reservation ${String(untilUnixSeconds)}`), start).subarray(
      0,
      4,
    )

  return {
    issue({ address, port }, untilUnixSeconds) {
      const start = Uint8Array.of(address, port >>> 8, port, untilUnixSeconds)
      return Buffer.concat([start, proofOf(start, untilUnixSeconds)])
    },
    redeem(token, unixSeconds) {
      const start = token.subarray(0, 4)
      const [address = 0, high = 0, low = 0, last = 0] = start
      const left = (last - unixSeconds) & 0xff
      if (left === 0 || left > maxSeconds) return undefined
      const proof = proofOf(start, unixSeconds + left)
      if (!timingSafeEqual(proof, token.subarray(4, 8))) return undefined
      return { address, port: (high << 8) | low }
    },
  }
}
