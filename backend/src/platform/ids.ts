import { randomBytes, randomInt, randomUUID } from 'node:crypto'

/** Everything random that the backend hands out. Tests pass their own to hold it still. */
export interface Ids {
  /** A version 4 UUID, lower-case. */
  uuid(): string
  bytes(count: number): Buffer
  /** Base64url without padding of that many random bytes; safe in URLs and headers. */
  token(byteCount: number): string
  /** Six decimal digits, leading zeros kept: what people copy from a mail. */
  sixDigitCode(): string
  uint32(): number
  uint64(): bigint
}

/** From the operating system's generator; all of it is fit for secrets. */
export function systemIds(): Ids {
  return {
    uuid: () => randomUUID(),
    bytes: (count) => randomBytes(count),
    token: (byteCount) => randomBytes(byteCount).toString('base64url'),
    sixDigitCode: () => String(randomInt(1_000_000)).padStart(6, '0'),
    uint32: () => randomBytes(4).readUInt32BE(),
    uint64: () => randomBytes(8).readBigUInt64BE(),
  }
}
