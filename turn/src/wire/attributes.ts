import { ipBytes, readIp, readWord, writeWord, type Endpoint } from './ip.ts'
import { MalformedMessage } from './malformed-message.ts'
import { magicCookie, setUint16, uint16, type Message, type RawAttribute } from './message.ts'

/** One attribute: its number, and how its bytes become a value and back. `read` throws MalformedMessage. */
export interface Attribute<Value> {
  readonly type: number
  read(value: Uint8Array, transactionId: Uint8Array): Value
  write(value: Value, transactionId: Uint8Array): Uint8Array
}

/** The value of the first attribute of that kind (RFC 8489 §14: further ones do not count). */
export function find<Value>(message: Message, attribute: Attribute<Value>): Value | undefined {
  for (const { type, value } of message.attributes) {
    if (type === attribute.type) return attribute.read(value, message.transactionId)
  }
  return undefined
}

/** The values of all attributes of that kind. */
export function findAll<Value>(message: Message, attribute: Attribute<Value>): Value[] {
  return message.attributes
    .filter(({ type }) => type === attribute.type)
    .map(({ value }) => attribute.read(value, message.transactionId))
}

/** An attribute of a message that is being made. */
export type Written = (transactionId: Uint8Array) => RawAttribute

export function written<Value>(attribute: Attribute<Value>, value: Value): Written {
  return (transactionId) => ({ type: attribute.type, value: attribute.write(value, transactionId) })
}

// What the values are made of.

function exactly(length: number, value: Uint8Array): Uint8Array {
  if (value.length !== length) throw new MalformedMessage('an attribute has the wrong length')
  return value
}

function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeWord(bytes, 0, value)
  return bytes
}

/** A number in the first of four bytes; the others are 0 and not read. */
function firstOfFour(type: number): Attribute<number> {
  return {
    type,
    read: (value) => exactly(4, value)[0] ?? 0,
    write: (value) => uint32Bytes(value << 24),
  }
}

function opaque(type: number, minBytes: number, maxBytes: number): Attribute<Uint8Array> {
  return {
    type,
    read(value) {
      if (value.length < minBytes || value.length > maxBytes) {
        throw new MalformedMessage('an attribute has the wrong length')
      }
      return value
    },
    write: (value) => value,
  }
}

/** Text that is compared and hashed byte by byte; latin1 keeps every byte. */
function text(type: number, maxBytes: number): Attribute<string> {
  const bytes = opaque(type, 0, maxBytes)
  return {
    type,
    read: (value, id) => Buffer.from(bytes.read(value, id)).toString('latin1'),
    write: (value) => Buffer.from(value, 'latin1'),
  }
}

function flag(type: number): Attribute<true> {
  return {
    type,
    read(value) {
      exactly(0, value)
      return true
    },
    write: () => new Uint8Array(0),
  }
}

const families = { 4: 1, 6: 2 } as const

/** An address, XORed with the cookie and the transaction id (RFC 8489 §14.2). */
function xorAddress(type: number): Attribute<Endpoint> {
  const mask = (value: Uint8Array, transactionId: Uint8Array): Uint8Array => {
    const masked = Uint8Array.from(value)
    setUint16(masked, 2, uint16(masked, 2) ^ (magicCookie >>> 16))
    writeWord(masked, 4, readWord(masked, 4) ^ magicCookie)
    for (let at = 8; at < masked.length; at += 1) {
      masked[at] = (masked[at] ?? 0) ^ (transactionId[at - 8] ?? 0)
    }
    return masked
  }
  return {
    type,
    read(value, transactionId) {
      const family = value[1]
      if (family === families[4]) exactly(8, value)
      else if (family === families[6]) exactly(20, value)
      else throw new MalformedMessage('an address has no known family')
      const plain = mask(value, transactionId)
      return { port: uint16(plain, 2), ip: readIp(plain.subarray(4)) }
    },
    write({ ip, port }, transactionId) {
      const address = ipBytes(ip)
      const plain = new Uint8Array(4 + address.length)
      plain[1] = families[ip.family]
      setUint16(plain, 2, port)
      plain.set(address, 4)
      return mask(plain, transactionId)
    },
  }
}

// RFC 8489 §14.

export const xorMappedAddress = xorAddress(0x0020)

/** Not XORed; read and written for the vectors alone (RFC 8489 §14.1). */
export const mappedAddress: Attribute<Endpoint> = {
  type: 0x0001,
  read(value) {
    const family = value[1]
    if (family === families[4]) exactly(8, value)
    else if (family === families[6]) exactly(20, value)
    else throw new MalformedMessage('an address has no known family')
    return { port: uint16(value, 2), ip: readIp(value.subarray(4)) }
  },
  write({ ip, port }) {
    const address = ipBytes(ip)
    const bytes = new Uint8Array(4 + address.length)
    bytes[1] = families[ip.family]
    setUint16(bytes, 2, port)
    bytes.set(address, 4)
    return bytes
  },
}

/** At most 508 bytes; as bytes in latin1. */
export const username = text(0x0006, 513)
/** SHA-256 of `username:realm`, instead of the name (RFC 8489 §14.4). */
export const userhash = opaque(0x001e, 32, 32)
export const realm = text(0x0014, 763)
export const nonce = text(0x0015, 763)
export const software = text(0x8022, 763)

export interface ErrorCode {
  /** 300 to 699. */
  readonly code: number
  readonly reason: string
}

export const errorCode: Attribute<ErrorCode> = {
  type: 0x0009,
  read(value) {
    if (value.length < 4 || value.length > 4 + 763) throw new MalformedMessage('no error code')
    const hundreds = (value[2] ?? 0) & 7
    const rest = value[3] ?? 0
    if (hundreds < 3 || hundreds > 6 || rest > 99) throw new MalformedMessage('no error code')
    return { code: hundreds * 100 + rest, reason: Buffer.from(value.subarray(4)).toString('utf8') }
  },
  write({ code, reason }) {
    return Buffer.concat([
      Buffer.from([0, 0, Math.floor(code / 100), code % 100]),
      Buffer.from(reason),
    ])
  },
}

/** Types of attributes that the receiver must know and does not (RFC 8489 §14.13). */
export const unknownAttributes: Attribute<readonly number[]> = {
  type: 0x000a,
  read(value) {
    if (value.length % 2 !== 0) throw new MalformedMessage('half a type')
    return Array.from({ length: value.length / 2 }, (_, at) => uint16(value, at * 2))
  },
  write(types) {
    const bytes = new Uint8Array(types.length * 2)
    types.forEach((type, at) => setUint16(bytes, at * 2, type))
    return bytes
  },
}

/** An address of the same family, not XORed (RFC 8489 §14.15). */
export const alternateServer: Attribute<Endpoint> = { ...mappedAddress, type: 0x8023 }

/** Algorithms by number, without parameters: 1 is MD5, 2 is SHA-256 (RFC 8489 §14.11). */
export const passwordAlgorithms: Attribute<readonly number[]> = {
  type: 0x8002,
  read(value) {
    const algorithms: number[] = []
    let at = 0
    while (at < value.length) {
      if (at + 4 > value.length) throw new MalformedMessage('half an algorithm')
      const length = uint16(value, at + 2)
      if (at + 4 + length > value.length) throw new MalformedMessage('half an algorithm')
      algorithms.push(uint16(value, at))
      at += 4 + length + (-length & 3)
    }
    return algorithms
  },
  write(algorithms) {
    const bytes = new Uint8Array(algorithms.length * 4)
    algorithms.forEach((algorithm, at) => setUint16(bytes, at * 4, algorithm))
    return bytes
  },
}

/** The algorithm the client chose (RFC 8489 §14.12). */
export const passwordAlgorithm: Attribute<number> = {
  type: 0x001d,
  read(value) {
    if (value.length < 4) throw new MalformedMessage('half an algorithm')
    return uint16(value, 0)
  },
  write: (algorithm) => uint32Bytes(algorithm << 16),
}

// RFC 8656 §18.

/** 0x4000 to 0x4FFF are channels; two bytes follow that are not read. */
export const channelNumber: Attribute<number> = {
  type: 0x000c,
  read: (value) => uint16(exactly(4, value), 0),
  write: (number) => uint32Bytes(number << 16),
}

/** Seconds until the allocation expires (RFC 8656 §18.2). */
export const lifetime: Attribute<number> = {
  type: 0x000d,
  read: (value) => readWord(exactly(4, value), 0) >>> 0,
  write: (seconds) => uint32Bytes(seconds),
}

export const xorPeerAddress = xorAddress(0x0012)
/** Empty is a datagram without bytes. */
export const data = opaque(0x0013, 0, 0xffff)
export const xorRelayedAddress = xorAddress(0x0016)

/** 1 is IPv4, 2 is IPv6; others are families that nobody offers. */
export const requestedAddressFamily = firstOfFour(0x0017)
export const additionalAddressFamily = firstOfFour(0x8000)

/** Whether the next higher port is to be held too (RFC 8656 §18.6). */
export const evenPort: Attribute<boolean> = {
  type: 0x0018,
  read: (value) => ((exactly(1, value)[0] ?? 0) & 0x80) !== 0,
  write: (isNextHeld) => Uint8Array.of(isNextHeld ? 0x80 : 0),
}

/** A number of an IP protocol; 17 is UDP. */
export const requestedTransport = firstOfFour(0x0019)
export const dontFragment = flag(0x001a)
/** 8 bytes. */
export const reservationToken = opaque(0x0022, 8, 8)

/** Why one of two families got no relay (RFC 8656 §18.12). */
export const addressErrorCode: Attribute<{ family: number; code: number; reason: string }> = {
  type: 0x8001,
  read(value) {
    return { family: value[0] ?? 0, ...errorCode.read(value, value) }
  },
  write({ family, code, reason }) {
    const bytes = errorCode.write({ code, reason }, new Uint8Array(0))
    bytes[0] = family
    return bytes
  },
}

/** What a message must not carry unknown: the types below 0x8000 that this relay reads. */
export const understood: ReadonlySet<number> = new Set(
  [
    mappedAddress,
    xorMappedAddress,
    username,
    userhash,
    realm,
    nonce,
    errorCode,
    unknownAttributes,
    passwordAlgorithm,
    channelNumber,
    lifetime,
    xorPeerAddress,
    data,
    xorRelayedAddress,
    requestedAddressFamily,
    evenPort,
    requestedTransport,
    dontFragment,
    reservationToken,
  ].map(({ type }) => type),
)

/** The types of a message that must be understood and are not, each once. */
export function unknownTypes(message: Message): number[] {
  const unknown = new Set<number>()
  for (const { type } of message.attributes) {
    if (type < 0x8000 && !understood.has(type)) unknown.add(type)
  }
  return [...unknown]
}
