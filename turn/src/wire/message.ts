import { writeWord } from './ip.ts'
import { MalformedMessage } from './malformed-message.ts'

/** A STUN message (RFC 8489 §5) between bytes and values; nothing here knows what it asks for. */
export interface Message {
  readonly class: MessageClass
  /** 12 bits. */
  readonly method: number
  /** 12 bytes. */
  readonly transactionId: Uint8Array
  /** In the order of the wire, repeated ones too; without the two integrities and the fingerprint. */
  readonly attributes: readonly RawAttribute[]
}

export type MessageClass = 'request' | 'indication' | 'success' | 'error'

export interface RawAttribute {
  readonly type: number
  readonly value: Uint8Array
}

/** What was received: a message, and where its protection lies in `bytes`. */
export interface ReceivedMessage extends Message {
  /** The whole message; a view of the buffer it was received in, so read it before that is reused. */
  readonly bytes: Uint8Array
  /** Where the attribute MESSAGE-INTEGRITY begins. */
  readonly integrityAt: number | undefined
  /** Where the attribute MESSAGE-INTEGRITY-SHA256 begins. */
  readonly integritySha256At: number | undefined
  /** Where the attribute FINGERPRINT begins; whether it is right is not checked here. */
  readonly fingerprintAt: number | undefined
}

export const methods = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
} as const

const methodNames = new Map<number, string>([
  [methods.binding, 'binding'],
  [methods.allocate, 'allocate'],
  [methods.refresh, 'refresh'],
  [methods.send, 'send'],
  [methods.data, 'data'],
  [methods.createPermission, 'create-permission'],
  [methods.channelBind, 'channel-bind'],
])

/** As figures call it; `unknown` for what this relay has no method for. */
export function nameOfMethod(method: number): string {
  return methodNames.get(method) ?? 'unknown'
}

export const headerBytes = 20
export const magicCookie = 0x2112a442
/** The length in the header has 16 bits and is a multiple of 4. */
export const maxAttributeBytes = 0xfffc

export const protection = {
  integrity: 0x0008,
  integritySha256: 0x001c,
  fingerprint: 0x8028,
} as const

// Made once: a flood of such messages would pay most for the stack of each error.
const malformed = {
  notStun: new MalformedMessage('not a STUN header'),
  notLast: new MalformedMessage('FINGERPRINT is not last'),
  tooLong: new MalformedMessage('an attribute is longer than the message'),
  wrongFingerprint: new MalformedMessage('FINGERPRINT has 4 bytes'),
  wrongIntegrity: new MalformedMessage('MESSAGE-INTEGRITY has 20 bytes'),
  wrongIntegritySha256: new MalformedMessage('MESSAGE-INTEGRITY-SHA256 has 16 to 32 bytes'),
} as const

const classes: readonly MessageClass[] = ['request', 'indication', 'success', 'error']

/** The 14 bits of the type: the two bits of the class lie between those of the method. */
export function messageType(messageClass: MessageClass, method: number): number {
  const bits = classes.indexOf(messageClass)
  return (
    ((method & 0xf80) << 2) |
    ((method & 0x070) << 1) |
    (method & 0x00f) |
    ((bits & 2) << 7) |
    ((bits & 1) << 4)
  )
}

function classOfType(type: number): MessageClass {
  return classes[((type >> 7) & 2) | ((type >> 4) & 1)] ?? 'request'
}

export function methodOfType(type: number): number {
  return ((type >> 2) & 0xf80) | ((type >> 1) & 0x070) | (type & 0x00f)
}

/** Whether the first bytes can be those of a STUN message of exactly this length. */
export function hasStunHeader(bytes: Uint8Array): boolean {
  return (
    bytes.length >= headerBytes &&
    bytes.length % 4 === 0 &&
    (bytes[0] ?? 0xff) < 0x40 &&
    bytes[4] === 0x21 &&
    bytes[5] === 0x12 &&
    bytes[6] === 0xa4 &&
    bytes[7] === 0x42 &&
    uint16(bytes, 2) === bytes.length - headerBytes
  )
}

/**
 * Reads a message that fills `bytes`. Throws MalformedMessage. After an integrity only the other
 * integrity and the fingerprint are read (RFC 8489 §14.5), after the fingerprint nothing may come.
 */
export function decodeMessage(bytes: Uint8Array): ReceivedMessage {
  if (!hasStunHeader(bytes)) throw malformed.notStun
  const type = uint16(bytes, 0)
  const attributes: RawAttribute[] = []
  let integrityAt: number | undefined
  let integritySha256At: number | undefined
  let fingerprintAt: number | undefined
  let at = headerBytes
  while (at < bytes.length) {
    if (fingerprintAt !== undefined) throw malformed.notLast
    const attributeType = uint16(bytes, at)
    const length = uint16(bytes, at + 2)
    const end = at + 4 + length
    if (end > bytes.length) throw malformed.tooLong
    if (attributeType === protection.fingerprint) {
      if (length !== 4) throw malformed.wrongFingerprint
      fingerprintAt = at
    } else if (attributeType === protection.integrity) {
      if (length !== 20) throw malformed.wrongIntegrity
      if (integritySha256At === undefined) integrityAt ??= at
    } else if (attributeType === protection.integritySha256) {
      if (length < 16 || length > 32 || length % 4 !== 0) {
        throw malformed.wrongIntegritySha256
      }
      integritySha256At ??= at
    } else if (integrityAt === undefined && integritySha256At === undefined) {
      attributes.push({ type: attributeType, value: bytes.subarray(at + 4, end) })
    }
    at = end + (-length & 3)
  }
  return {
    class: classOfType(type),
    method: methodOfType(type),
    // A copy, also of a Buffer, whose own `slice` is a view.
    transactionId: Uint8Array.from(bytes.subarray(8, headerBytes)),
    attributes,
    bytes,
    integrityAt,
    integritySha256At,
    fingerprintAt,
  }
}

/**
 * The bytes of a message, followed by `room` bytes for what protects it; the length in the header
 * counts the message alone. Padding is zeros. Throws RangeError when it does not fit 16 bits.
 */
export function encodeMessage(message: Message, room = 0): Uint8Array {
  let length = 0
  for (const { value } of message.attributes) length += 4 + value.length + (-value.length & 3)
  if (length + room > maxAttributeBytes) throw new RangeError('the message is too long')
  const bytes = new Uint8Array(headerBytes + length + room)
  setUint16(bytes, 0, messageType(message.class, message.method))
  setUint16(bytes, 2, length)
  writeWord(bytes, 4, magicCookie)
  bytes.set(message.transactionId, 8)
  let at = headerBytes
  for (const { type, value } of message.attributes) {
    setUint16(bytes, at, type)
    setUint16(bytes, at + 2, value.length)
    bytes.set(value, at + 4)
    at += 4 + value.length + (-value.length & 3)
  }
  return bytes
}

export function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

export function setUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}
