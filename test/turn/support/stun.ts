/**
 * STUN and TURN messages as a test wants them: written attribute by attribute, right or wrong, and
 * read without judging (RFC 8489 §5, §14; RFC 8656 §18). Kept apart from the relay's own code, so
 * that a mistake there is not made twice.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { crc32 } from 'node:zlib'

export const magicCookie = 0x2112a442

export const methods = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
  connect: 0x00a,
} as const

export const attributes = {
  mappedAddress: 0x0001,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  evenPort: 0x0018,
  requestedTransport: 0x0019,
  dontFragment: 0x001a,
  messageIntegritySha256: 0x001c,
  userhash: 0x001e,
  xorMappedAddress: 0x0020,
  reservationToken: 0x0022,
  additionalAddressFamily: 0x8000,
  addressErrorCode: 0x8001,
  software: 0x8022,
  alternateServer: 0x8023,
  fingerprint: 0x8028,
} as const

const attributeNames = new Map<number, string>(
  Object.entries(attributes).map(([name, type]) => [type, name]),
)

export const attributeName = (type: number): string =>
  attributeNames.get(type) ?? `0x${type.toString(16).padStart(4, '0')}`

export type MessageClass = 'request' | 'indication' | 'success' | 'error'
const classes = ['request', 'indication', 'success', 'error'] as const

export interface Attribute {
  readonly type: number
  readonly value: Buffer
}

export interface Address {
  /** IPv4 or IPv6, in the text form that the reader made or the test wrote. */
  readonly host: string
  readonly port: number
}

export interface Message {
  readonly class: MessageClass
  readonly method: number
  readonly transactionId: Buffer
  readonly attributes: readonly Attribute[]
}

export interface Writing {
  /** Signs with MESSAGE-INTEGRITY (HMAC-SHA1). */
  readonly key?: Buffer
  readonly hasFingerprint?: boolean
  /** Attributes behind the integrity, which a receiver must not believe. */
  readonly trailing?: readonly Attribute[]
}

export const newTransactionId = (): Buffer => randomBytes(12)

/** 14 bits of type: the class's two bits lie between those of the method (RFC 8489 §5). */
function typeOf(messageClass: MessageClass, method: number): number {
  const bits = classes.indexOf(messageClass)
  return (
    (method & 0x000f) |
    ((method & 0x0070) << 1) |
    ((method & 0x0f80) << 2) |
    ((bits & 1) << 4) |
    ((bits & 2) << 7)
  )
}

function writeAttribute({ type, value }: Attribute): Buffer {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(value.length, 2)
  value.copy(bytes, 4)
  return bytes
}

export function writeMessage(message: Message, writing: Writing = {}): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(typeOf(message.class, message.method), 0)
  header.writeUInt32BE(magicCookie, 4)
  message.transactionId.copy(header, 8)
  const parts = [header, ...message.attributes.map(writeAttribute)]
  const body = (): number => parts.reduce((sum, part) => sum + part.length, 0) - 20
  if (writing.key !== undefined) {
    header.writeUInt16BE(body() + 24, 2)
    const hmac = createHmac('sha1', writing.key).update(Buffer.concat(parts)).digest()
    parts.push(writeAttribute({ type: attributes.messageIntegrity, value: hmac }))
  }
  for (const attribute of writing.trailing ?? []) parts.push(writeAttribute(attribute))
  if (writing.hasFingerprint === true) {
    header.writeUInt16BE(body() + 8, 2)
    const value = Buffer.alloc(4)
    value.writeUInt32BE((crc32(Buffer.concat(parts)) ^ 0x5354554e) >>> 0)
    parts.push(writeAttribute({ type: attributes.fingerprint, value }))
  }
  header.writeUInt16BE(body(), 2)
  return Buffer.concat(parts)
}

/** `undefined` for what is no whole STUN message. */
export function readMessage(bytes: Buffer): Message | undefined {
  if (bytes.length < 20 || bytes.readUInt8(0) > 0x3f) return undefined
  if (bytes.readUInt32BE(4) !== magicCookie) return undefined
  if (bytes.readUInt16BE(2) !== bytes.length - 20 || bytes.length % 4 !== 0) return undefined
  const type = bytes.readUInt16BE(0)
  const found: Attribute[] = []
  for (let at = 20; at < bytes.length;) {
    const length = bytes.readUInt16BE(at + 2)
    if (at + 4 + length > bytes.length) return undefined
    found.push({ type: bytes.readUInt16BE(at), value: bytes.subarray(at + 4, at + 4 + length) })
    at += 4 + Math.ceil(length / 4) * 4
  }
  return {
    class: classes[((type >> 4) & 1) | ((type >> 7) & 2)] ?? 'request',
    method: (type & 0x000f) | ((type >> 1) & 0x0070) | ((type >> 2) & 0x0f80),
    transactionId: bytes.subarray(8, 20),
    attributes: found,
  }
}

export function find(message: Message, type: number): Buffer | undefined {
  return message.attributes.find((attribute) => attribute.type === type)?.value
}

/** The code of an error reply, or `undefined`. */
export function errorCodeOf(message: Message): number | undefined {
  const value = find(message, attributes.errorCode)
  return value === undefined ? undefined : (value.readUInt8(2) & 7) * 100 + value.readUInt8(3)
}

/** Whether a reply's MESSAGE-INTEGRITY is there and made with `key`. */
export function isSignedWith(bytes: Buffer, key: Buffer): boolean {
  for (let at = 20; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2)
    if (bytes.readUInt16BE(at) === attributes.messageIntegrity) {
      const signed = Buffer.from(bytes.subarray(0, at))
      signed.writeUInt16BE(at + 24 - 20, 2)
      const hmac = createHmac('sha1', key).update(signed).digest()
      return hmac.equals(bytes.subarray(at + 4, at + 24))
    }
    at += 4 + Math.ceil(length / 4) * 4
  }
  return false
}

export const text = (type: number, value: string): Attribute => ({
  type,
  value: Buffer.from(value),
})

export function uint32(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return { type, value: bytes }
}

/** REQUESTED-TRANSPORT: 17 is UDP. */
export const requestedTransport = (protocol = 17): Attribute =>
  uint32(attributes.requestedTransport, protocol * 2 ** 24)

/** 1 is IPv4, 2 is IPv6. */
export const addressFamily = (
  family: number,
  type: number = attributes.requestedAddressFamily,
): Attribute => uint32(type, family * 2 ** 24)

export const lifetime = (seconds: number): Attribute => uint32(attributes.lifetime, seconds)

export const channelNumber = (channel: number): Attribute =>
  uint32(attributes.channelNumber, channel * 2 ** 16)

export const evenPort = (reservesNext: boolean): Attribute => ({
  type: attributes.evenPort,
  value: Buffer.from([reservesNext ? 0x80 : 0]),
})

/** The bytes of an IPv6 address in its text form, of an IPv4 address too. */
export function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number))
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(host)
  const whole =
    dotted === null
      ? host
      : `${dotted[1] ?? ''}${(
          addressBytes(dotted[2] ?? '')
            .toString('hex')
            .match(/.{4}/g) ?? []
        ).join(':')}`
  const [head = '', tail] = whole.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const middle = tail === undefined ? 0 : 8 - left.length - right.length
  const all = [...left, ...Array.from({ length: middle }, () => '0'), ...right]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.')
  const groups = bytes.toString('hex').match(/.{4}/g) ?? []
  // The URL parser knows the shortest form of an address (RFC 5952).
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

function xorMask(transactionId: Buffer): Buffer {
  const cookie = Buffer.alloc(4)
  cookie.writeUInt32BE(magicCookie)
  return Buffer.concat([cookie, transactionId])
}

/** An address xored with cookie and transaction id (RFC 8489 §14.2). */
export function xorAddress(
  type: number,
  { host, port }: Address,
  transactionId: Buffer,
): Attribute {
  const plain = addressBytes(host)
  const mask = xorMask(transactionId)
  const value = Buffer.alloc(4 + plain.length)
  value.writeUInt8(plain.length === 4 ? 1 : 2, 1)
  value.writeUInt16BE(port ^ (magicCookie >>> 16), 2)
  plain.forEach((byte, index) => value.writeUInt8(byte ^ (mask[index] ?? 0), 4 + index))
  return { type, value }
}

export function readXorAddress(message: Message, type: number): Address | undefined {
  const value = find(message, type)
  if (value === undefined) return undefined
  const mask = xorMask(message.transactionId)
  const plain = Buffer.from(value.subarray(4).map((byte, index) => byte ^ (mask[index] ?? 0)))
  return { host: addressText(plain), port: value.readUInt16BE(2) ^ (magicCookie >>> 16) }
}

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** Key of the long-term mechanism (RFC 8489 §9.2.2). */
export const longTermKey = ({ username, password }: Credentials, realm: string): Buffer =>
  createHash('md5').update(`${username}:${realm}:${password}`).digest()

/** TURN REST: the user name starts with the expiry. */
export function restCredentials(secret: string, name: string, ttlSeconds = 3600): Credentials {
  const username = `${String(Math.floor(Date.now() / 1000) + ttlSeconds)}:${name}`
  return {
    username,
    password: createHmac('sha1', secret).update(username).digest('base64'),
  }
}

export function channelData(channel: number, payload: Buffer, isPadded = false): Buffer {
  const padding = isPadded ? (4 - (payload.length % 4)) % 4 : 0
  const bytes = Buffer.alloc(4 + payload.length + padding)
  bytes.writeUInt16BE(channel, 0)
  bytes.writeUInt16BE(payload.length, 2)
  payload.copy(bytes, 4)
  return bytes
}
