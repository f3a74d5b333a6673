/**
 * Version 1 UUIDs (RFC 9562 §5.1): 60 bits of time and 62 bits that the caller chooses.
 *
 * Ticks are units of 100 ns since 1582-10-15, as they stand in the UUID.
 */

/** Ticks from 1582-10-15 to 1970-01-01. */
const ticksAt1970 = 0x01b21dd213814000n
const ticksPerMs = 10_000n
const ticksEnd = 1n << 60n

/** The first tick of a millisecond since 1970. */
export const ticksOfMs = (ms: number): bigint => BigInt(ms) * ticksPerMs + ticksAt1970

/** The millisecond since 1970 that holds the tick; for times from 1970 on. */
export const msOfTicks = (ticks: bigint): number => Number((ticks - ticksAt1970) / ticksPerMs)

/** Microseconds since 1970. */
export const microsOfTicks = (ticks: bigint): bigint => (ticks - ticksAt1970) / 10n

const codeOfDigit = Buffer.from('0123456789abcdef', 'latin1')
const dash = 0x2d
/** Where `timeUuid` writes: put together from parts, the text would keep all of them in memory. */
const written = Buffer.alloc(36, dash)

function writeHex(at: number, byte: number | undefined): void {
  written[at] = codeOfDigit[((byte ?? 0) >>> 4) & 0xf] ?? 0
  written[at + 1] = codeOfDigit[(byte ?? 0) & 0xf] ?? 0
}

/** The value of each hex digit by its character code, NaN for everything else. */
const digitOfCode = new Float64Array(128).fill(Number.NaN)
for (let digit = 0; digit < 16; digit += 1) {
  const text = digit.toString(16)
  digitOfCode[text.charCodeAt(0)] = digit
  digitOfCode[text.toUpperCase().charCodeAt(0)] = digit
}

/** NaN when one of the characters is no hex digit. */
function readHex(text: string, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at += 1) {
    value = value * 16 + (digitOfCode[text.charCodeAt(at)] ?? Number.NaN)
  }
  return value
}

/**
 * Lower-case text of the UUID.
 *
 * @param low62 Eight bytes for clock sequence and node; the top two bits of the first are not used.
 * @throws RangeError when the ticks do not fit into 60 bits or there are not eight bytes.
 */
export function timeUuid(ticks: bigint, low62: Uint8Array): string {
  if (ticks < 0n || ticks >= ticksEnd) throw new RangeError('ticks do not fit into a UUID')
  if (low62.length !== 8) throw new RangeError('clock sequence and node are eight bytes')
  const high = Number(ticks >> 32n)
  const low = Number(ticks & 0xffff_ffffn)
  writeHex(0, low >>> 24)
  writeHex(2, low >>> 16)
  writeHex(4, low >>> 8)
  writeHex(6, low)
  writeHex(9, high >>> 8)
  writeHex(11, high)
  writeHex(14, (high >>> 24) | 0x10)
  writeHex(16, high >>> 16)
  writeHex(19, ((low62[0] ?? 0) & 0x3f) | 0x80)
  writeHex(21, low62[1])
  for (let index = 2; index < 8; index += 1) writeHex(20 + 2 * index, low62[index])
  return written.toString('latin1')
}

/** The time in a version 1 UUID, in either case; undefined for any other text. */
export function ticksOf(uuid: string): bigint | undefined {
  if (
    uuid.length !== 36 ||
    uuid[8] !== '-' ||
    uuid[13] !== '-' ||
    uuid[18] !== '-' ||
    uuid[23] !== '-' ||
    uuid[14] !== '1'
  ) {
    return undefined
  }
  const low = readHex(uuid, 0, 8)
  const high = readHex(uuid, 15, 18) * 0x1_0000 + readHex(uuid, 9, 13)
  const clockSequence = readHex(uuid, 19, 23)
  const node = readHex(uuid, 24, 36)
  if (Number.isNaN(low + high + clockSequence + node)) return undefined
  if (clockSequence >>> 14 !== 0b10) return undefined
  return (BigInt(high) << 32n) | BigInt(low)
}

/**
 * The bits that `timeUuid` was given: eight bytes, the top two bits of the first cleared; undefined
 * where `ticksOf` is.
 */
export function hashBitsOf(uuid: string): Uint8Array | undefined {
  if (ticksOf(uuid) === undefined) return undefined
  const bytes = new Uint8Array(8)
  bytes[0] = readHex(uuid, 19, 21) & 0x3f
  bytes[1] = readHex(uuid, 21, 23)
  for (let at = 2; at < 8; at += 1) bytes[at] = readHex(uuid, 20 + 2 * at, 22 + 2 * at)
  return bytes
}

/** Where the digits of the time stand in the text, most significant first. */
const timeDigits = [15, 16, 17, 9, 10, 11, 12, 0, 1, 2, 3, 4, 5, 6, 7]
const clockAndNodeDigits = [19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35]

/**
 * Order of time; below zero when `left` is the earlier one. Equal times are ordered by the other
 * eight bytes, each taken as a signed number, because Cassandra's `timeuuid` does so. Both must be
 * version 1 UUIDs in lower case.
 */
export function compareTimeUuid(left: string, right: string): number {
  for (const at of timeDigits) {
    // In ASCII the letters stand above the digits, so characters compare as the digits they mean.
    const difference = left.charCodeAt(at) - right.charCodeAt(at)
    if (difference !== 0) return difference
  }
  for (const [index, at] of clockAndNodeDigits.entries()) {
    if (left[at] === right[at]) continue
    const signBit = index % 2 === 0 ? 8 : 0
    return (readHex(left, at, at + 1) ^ signBit) - (readHex(right, at, at + 1) ^ signBit)
  }
  return 0
}
