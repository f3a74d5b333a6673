import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as attributes from './attributes.ts'
import { find, findAll, unknownTypes, written, type Attribute } from './attributes.ts'
import { ipv4, ipv6, type Endpoint } from './ip.ts'
import { MalformedMessage } from './malformed-message.ts'
import {
  decodeMessage,
  encodeMessage,
  hasStunHeader,
  messageType,
  methods,
  type Message,
  type MessageClass,
} from './message.ts'
import { sealMessage } from './protection.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  ip: fc.oneof(
    word.map(ipv4),
    fc.tuple(word, word, word, word).map((words) => ipv6(...words)),
  ),
  port: fc.integer({ min: 0, max: 65_535 }),
})
const byteText = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const byte = fc.integer({ min: 0, max: 255 })
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const code = fc.record({
  code: fc.integer({ min: 300, max: 699 }),
  reason: fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[\uD800-\uDFFF]/g, '')),
})

interface Case {
  readonly attribute: Attribute<never>
  readonly value: unknown
}
function values<Value>(
  attribute: Attribute<Value>,
  value: fc.Arbitrary<Value>,
): fc.Arbitrary<Case> {
  return value.map((value) => ({ attribute: attribute as Attribute<never>, value }))
}

/** Each attribute with a value of its kind. */
const anyCase = fc.oneof(
  values(attributes.mappedAddress, endpoint),
  values(attributes.xorMappedAddress, endpoint),
  values(attributes.xorPeerAddress, endpoint),
  values(attributes.xorRelayedAddress, endpoint),
  values(attributes.alternateServer, endpoint),
  values(attributes.username, byteText(513)),
  values(attributes.realm, byteText(128)),
  values(attributes.nonce, byteText(128)),
  values(attributes.software, byteText(128)),
  values(attributes.userhash, bytesOf(32)),
  values(attributes.errorCode, code),
  values(
    attributes.unknownAttributes,
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 9 }),
  ),
  values(
    attributes.passwordAlgorithms,
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 4 }),
  ),
  values(attributes.passwordAlgorithm, fc.integer({ min: 0, max: 0xffff })),
  values(attributes.channelNumber, fc.integer({ min: 0, max: 0xffff })),
  values(attributes.lifetime, fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  values(attributes.data, fc.uint8Array({ maxLength: 300 })),
  values(attributes.requestedAddressFamily, byte),
  values(attributes.additionalAddressFamily, byte),
  values(attributes.requestedTransport, byte),
  values(attributes.evenPort, fc.boolean()),
  values(attributes.dontFragment, fc.constant(true as const)),
  values(attributes.reservationToken, bytesOf(8)),
  values(
    attributes.addressErrorCode,
    fc.tuple(fc.constantFrom(1, 2), code).map(([family, rest]) => ({ family, ...rest })),
  ),
)
const known = Object.values(attributes).filter(
  (each): each is Attribute<never> => typeof each === 'object' && 'read' in each,
)
const messageClass = fc.constantFrom<MessageClass>('request', 'indication', 'success', 'error')
const method = fc.integer({ min: 0, max: 0xfff })

describe('a message', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(
        messageClass,
        method,
        bytesOf(12),
        fc.uniqueArray(anyCase, { maxLength: 8, selector: ({ attribute }) => attribute.type }),
        fc.option(bytesOf(16), { nil: undefined }),
        fc.boolean(),
        (messageClass, method, transactionId, cases, key, hasFingerprint) => {
          const message: Message = {
            class: messageClass,
            method,
            transactionId,
            attributes: cases.map(({ attribute, value }) =>
              written(attribute, value as never)(transactionId),
            ),
          }
          const decoded = decodeMessage(sealMessage(message, { key, hasFingerprint }))
          expect(decoded).toMatchObject({ class: messageClass, method })
          expect(decoded.transactionId).toEqual(transactionId)
          expect(decoded.integrityAt !== undefined).toBe(key !== undefined)
          expect(decoded.fingerprintAt !== undefined).toBe(hasFingerprint)
          for (const { attribute, value } of cases) {
            const read: unknown = find(decoded, attribute)
            if (value instanceof Uint8Array) {
              expect(Buffer.compare(read as Uint8Array, value)).toBe(0)
            } else {
              expect(read).toEqual(value)
            }
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('of random bytes is refused as malformed, or read; nothing else is thrown', () => {
    const start = fc
      .tuple(fc.integer({ min: 0, max: 0x3fff }), fc.uint8Array({ maxLength: 200 }))
      .map(([type, rest]) => {
        const bytes = Buffer.alloc(20 + rest.length - (rest.length % 4))
        bytes.writeUInt16BE(type, 0)
        bytes.writeUInt16BE(bytes.length - 20, 2)
        bytes.writeUInt32BE(0x2112a442, 4)
        bytes.set(rest.subarray(0, bytes.length - 20), 20)
        return new Uint8Array(bytes)
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), start), (bytes) => {
        try {
          const message = decodeMessage(bytes)
          unknownTypes(message)
          for (const attribute of known) {
            try {
              findAll(message, attribute)
            } catch (error) {
              if (!(error instanceof MalformedMessage)) throw error
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('whose attributes are cut or stretched is refused as malformed, or read', () => {
    const transactionId = Buffer.alloc(12, 1)
    fc.assert(
      fc.property(anyCase, fc.uint8Array({ maxLength: 40 }), ({ attribute }, value) => {
        const bytes = encodeMessage({
          class: 'request',
          method: methods.allocate,
          transactionId,
          attributes: [{ type: attribute.type, value }],
        })
        try {
          find(decodeMessage(bytes), attribute)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('holds what stands behind its integrity as unsaid, but for the fingerprint', () => {
    const transactionId = Buffer.alloc(12, 1)
    const sealed = sealMessage(
      { class: 'request', method: methods.allocate, transactionId, attributes: [] },
      { key: Buffer.from('key') },
    )
    const tail = Buffer.from('000d000400000e10', 'hex')
    const bytes = Buffer.concat([sealed, tail])
    bytes.writeUInt16BE(bytes.length - 20, 2)
    expect(find(decodeMessage(bytes), attributes.lifetime)).toBeUndefined()
  })

  it('counts the first of repeated attributes', () => {
    const transactionId = Buffer.alloc(12, 1)
    const decoded = decodeMessage(
      encodeMessage({
        class: 'request',
        method: methods.refresh,
        transactionId,
        attributes: [600, 0].map((seconds) => written(attributes.lifetime, seconds)(transactionId)),
      }),
    )
    expect(find(decoded, attributes.lifetime)).toBe(600)
    expect(findAll(decoded, attributes.lifetime)).toEqual([600, 0])
  })

  it('that does not fill its datagram, or has no cookie, is none', () => {
    const good = encodeMessage({
      class: 'request',
      method: methods.binding,
      transactionId: new Uint8Array(12),
      attributes: [],
    })
    expect(hasStunHeader(good)).toBe(true)
    expect(hasStunHeader(Buffer.concat([good, Buffer.alloc(4)]))).toBe(false)
    expect(hasStunHeader(good.subarray(0, 16))).toBe(false)
    for (const at of [0, 3, 4, 7]) {
      const bad = Uint8Array.from(good)
      bad[at] = 0x41
      expect(hasStunHeader(bad)).toBe(false)
    }
  })
})

it('a type joins class and method as RFC 8489 §5 draws it', () => {
  expect(messageType('request', methods.binding)).toBe(0x0001)
  expect(messageType('success', methods.allocate)).toBe(0x0103)
  expect(messageType('error', methods.allocate)).toBe(0x0113)
  expect(messageType('indication', methods.send)).toBe(0x0016)
  expect(messageType('indication', methods.data)).toBe(0x0017)
  expect(messageType('error', 0xfff)).toBe(0x3fff)
})
