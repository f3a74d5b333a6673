import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { MalformedBody } from '../endpoint.ts'
import type { ClientId, Domain, UserId } from '../ids.ts'
import { encodeOtrMessage } from './otr-message-encoder.ts'
import { decodeOtrMessage, decodeUnqualifiedOtrMessage } from './otr-message.ts'
import type { MismatchStrategy, OtrMessage, QualifiedTexts } from './otr-message.ts'

/** Wire's own declaration, read by a general library: an encoder that shares nothing with ours. */
const protoPath = createRequire(import.meta.url).resolve(
  '@wireapp/protocol-messaging/proto/otr.proto',
)
const { root } = protobuf.parse(readFileSync(protoPath, 'utf8'), { keepCase: true })
const qualifiedType = root.lookupType('proteus.QualifiedNewOtrMessage')
const unqualifiedType = root.lookupType('proteus.NewOtrMessage')

const alice = '6562d941-4f40-4db4-b96e-56a06d71c2c3' as UserId
const bob = 'ca754009-bc1e-4ef7-8384-dfec056bcc97' as UserId
const here = 'tricord.internal' as Domain
const uuidBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')

const client = fc
  .bigInt({ min: 0n, max: (1n << 64n) - 1n })
  .map((value) => value.toString(16) as ClientId)
const user = fc.uuid().map((text) => text as UserId)
const domain = fc.domain().map((text) => text.toLowerCase() as Domain)
const ciphertext = fc.uint8Array({ maxLength: 40 })
const mapOf = <K, V>(key: fc.Arbitrary<K>, value: fc.Arbitrary<V>) =>
  fc.array(fc.tuple(key, value), { maxLength: 4 }).map((entries) => new Map(entries))
const anyMessage: fc.Arbitrary<OtrMessage> = fc.record(
  {
    sender: client,
    recipients: mapOf(domain, mapOf(user, mapOf(client, ciphertext))),
    nativePush: fc.boolean(),
    nativePriority: fc.constantFrom('low' as const, 'high' as const),
    data: ciphertext,
    transient: fc.boolean(),
    strategy: fc.oneof(
      fc.record({ kind: fc.constantFrom('report-all' as const, 'ignore-all' as const) }),
      fc.record({
        kind: fc.constantFrom('report-only' as const, 'ignore-only' as const),
        users: fc.array(fc.record({ domain, id: user }), { maxLength: 3 }),
      }),
    ),
  },
  { requiredKeys: ['sender', 'recipients', 'nativePush', 'transient', 'strategy'] },
)

/** The message as the general library wants it. */
function toProto(message: OtrMessage) {
  const strategyFields = {
    'report-all': 'report_all',
    'ignore-all': 'ignore_all',
    'report-only': 'report_only',
    'ignore-only': 'ignore_only',
  }
  return {
    sender: { client: long(message.sender) },
    recipients: Array.from(message.recipients, ([domainName, users]) => ({
      domain: domainName,
      entries: Array.from(users, ([id, texts]) => ({
        user: { uuid: uuidBytes(id) },
        clients: Array.from(texts, ([device, text]) => ({
          client: { client: long(device) },
          text,
        })),
      })),
    })),
    native_push: message.nativePush,
    ...(message.data && { blob: message.data }),
    ...(message.nativePriority && { native_priority: message.nativePriority === 'low' ? 1 : 2 }),
    transient: message.transient,
    [strategyFields[message.strategy.kind]]:
      'users' in message.strategy ? { user_ids: message.strategy.users } : {},
  }
}

/** The library takes numbers of 64 bits as decimal text. */
const long = (hex: string) => BigInt(`0x${hex}`).toString()
const minimal = {
  sender: { client: 1 },
  report_all: {},
}
const encode = (message: object) => qualifiedType.encode(qualifiedType.fromObject(message)).finish()

describe('a qualified message', () => {
  it('is read as Wire declares it, whatever is in it', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = new Uint8Array(qualifiedType.encode(toProto(message)).finish())
        expect(decodeOtrMessage(bytes)).toEqual(message)
      }),
    )
  })

  it('comes back as it was encoded', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(decodeOtrMessage(encodeOtrMessage(message))).toEqual(message)
      }),
    )
  })

  it('has defaults: push to phones, store, no priority, no shared data', () => {
    expect(decodeOtrMessage(encode(minimal))).toEqual({
      sender: '1',
      recipients: new Map(),
      nativePush: true,
      transient: false,
      strategy: { kind: 'report-all' },
    })
  })

  it.each([
    ['0', '0'],
    ['f', 'f'],
    ['ffffffff', 'ffffffff'],
    ['100000000', '100000000'],
    ['ab00000000000001', 'ab00000000000001'],
    ['ffffffffffffffff', 'ffffffffffffffff'],
  ])('keeps all 64 bits of the device %s', (hex, expected) => {
    expect(decodeOtrMessage(encode({ ...minimal, sender: { client: long(hex) } })).sender).toBe(
      expected,
    )
  })

  it('keeps users without devices, and domains in lower case', () => {
    const bytes = encode({
      ...minimal,
      recipients: [{ domain: 'Tricord.INTERNAL', entries: [{ user: { uuid: uuidBytes(bob) } }] }],
    })
    const expected: QualifiedTexts = new Map([[here, new Map([[bob, new Map()]])]])
    expect(decodeOtrMessage(bytes).recipients).toEqual(expected)
  })

  it('reads the users of a strategy', () => {
    const strategy: MismatchStrategy = { kind: 'ignore-only', users: [{ domain: here, id: alice }] }
    const bytes = encode({
      sender: { client: 1 },
      ignore_only: { user_ids: [{ id: alice.toUpperCase(), domain: here }] },
    })
    expect(decodeOtrMessage(bytes).strategy).toEqual(strategy)
  })

  it('passes over fields and priorities that it does not know', () => {
    const unknown = [
      [0xa0, 0x06, 0x96, 0x01], // field 100, varint
      [0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8], // field 100, 64 bits
      [0xa2, 0x06, 2, 9, 9], // field 100, bytes
      [0xa5, 0x06, 1, 2, 3, 4], // field 100, 32 bits
      [0x28, 3], // native_priority = 3
    ].flat()
    const bytes = Uint8Array.of(...encode(minimal), ...unknown)
    expect(decodeOtrMessage(bytes)).toEqual(decodeOtrMessage(encode(minimal)))
  })

  const entry = (domainName: string, ...entries: object[]) => ({ domain: domainName, entries })
  const device = (id: string | number, text: string) => ({
    client: { client: id },
    text: Buffer.from(text),
  })
  const bobsDevices = (...clients: object[]) => ({ user: { uuid: uuidBytes(bob) }, clients })
  it.each([
    ['nothing', new Uint8Array(), 'The message has no sender'],
    ['no strategy', encode({ sender: { client: 1 } }), 'The message has no strategy'],
    ['no sender', Uint8Array.of(0x3a, 0), 'The message has no sender'],
    ['a sender without number', Uint8Array.of(0x0a, 0, 0x3a, 0), 'The message has no client'],
    [
      'two strategies',
      Buffer.concat([encode(minimal), Uint8Array.of(0x42, 0)]),
      'The message has strategy twice',
    ],
    [
      'two senders',
      Buffer.concat([encode(minimal), Uint8Array.of(0x0a, 2, 8, 2)]),
      'The message has sender twice',
    ],
    [
      'a user id of 15 bytes',
      encode({ ...minimal, recipients: [entry(here, { user: { uuid: Buffer.alloc(15) } })] }),
      'A user id is not 16 bytes long',
    ],
    [
      'a domain that is not one',
      encode({ ...minimal, recipients: [entry('localhost')] }),
      'A recipient has a domain that is not valid',
    ],
    [
      'a domain that is not UTF-8',
      Buffer.concat([encode(minimal), Uint8Array.of(0x12, 4, 0x0a, 2, 0xc3, 0x28)]),
      'The protobuf message has a text that is not UTF-8',
    ],
    [
      'a domain twice',
      encode({ ...minimal, recipients: [entry(here), entry(here.toUpperCase())] }),
      'The message has the recipient tricord.internal twice',
    ],
    [
      'a user twice',
      encode({ ...minimal, recipients: [entry(here, bobsDevices(), bobsDevices())] }),
      `The message has the recipient ${bob} twice`,
    ],
    [
      'a device twice',
      encode({
        ...minimal,
        recipients: [entry(here, bobsDevices(device(10, 'one'), device(10, 'two')))],
      }),
      'The message has the recipient a twice',
    ],
    [
      'a strategy for somebody who is no UUID',
      encode({ sender: { client: 1 }, report_only: { user_ids: [{ id: 'bob', domain: here }] } }),
      'A user id is not a UUID',
    ],
    ['a group', Uint8Array.of(0x0b, 0x0c), 'The protobuf message has a field of an unknown kind'],
    [
      'a number over 64 bits',
      Uint8Array.of(0x0a, 11, 8, ...Array<number>(9).fill(0xff), 2, 0x3a, 0),
      'The protobuf message has a number of more than 64 bits',
    ],
    [
      'a field number over 32 bits',
      Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 1),
      'The protobuf field number is too large',
    ],
    [
      'a nested message that reaches over the end of its parent',
      Uint8Array.of(0x12, 2, 0x12, 5, 0x0a, 3, 1, 2, 3),
      'The protobuf message ends early',
    ],
  ])('is refused with %s', (_, bytes, sentence) => {
    expect(() => decodeOtrMessage(bytes)).toThrow(new MalformedBody(sentence))
  })

  it('is refused when it is cut anywhere within a field', () => {
    const whole = encode({
      ...minimal,
      recipients: [entry(here, bobsDevices(device(10, 'one')))],
    })
    const outcomes = Array.from(whole, (_, length) => outcomeOf(whole.subarray(0, length)))
    expect(outcomes.filter((outcome) => outcome !== 'refused')).toEqual([])
  })

  it('may not name more than could ever be in a conversation', () => {
    const bytesFor = (count: number) =>
      encode({
        ...minimal,
        recipients: [
          entry(here, bobsDevices(...Array.from({ length: count }, (_, id) => device(id, '')))),
        ],
      })
    expect(decodeOtrMessage(bytesFor(16_000)).recipients.get(here)?.get(bob)?.size).toBe(16_000)
    expect(() => decodeOtrMessage(bytesFor(25_000))).toThrow('has too many fields')
    const unknown = new Uint8Array(1 << 20).fill(0x78)
    expect(() => decodeOtrMessage(unknown)).toThrow('has too many fields')
  })
})

/** Anything but a value or the declared error is let through and fails the test. */
function outcomeOf(bytes: Uint8Array): OtrMessage | 'refused' {
  try {
    return decodeOtrMessage(bytes)
  } catch (error) {
    if (error instanceof MalformedBody) return 'refused'
    throw error
  }
}

describe('hostile bytes', () => {
  it('end in a message or in the declared error', () => {
    const mutated = fc
      .tuple(anyMessage, fc.nat(), fc.uint8Array({ maxLength: 3 }), fc.nat(3))
      .map(([message, at, insert, drop]) => {
        const bytes = encodeOtrMessage(message)
        const cut = at % bytes.length
        return Uint8Array.of(...bytes.subarray(0, cut), ...insert, ...bytes.subarray(cut + drop))
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        const message = outcomeOf(bytes)
        if (message === 'refused') return
        expect(decodeOtrMessage(encodeOtrMessage(message))).toEqual(message)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('an unqualified message', () => {
  const expected = {
    sender: 'ab',
    recipients: new Map([[bob, new Map([['c1', Uint8Array.of(1, 2, 255)]])]]),
    nativePush: false,
    nativePriority: 'high',
    data: Uint8Array.of(7),
    transient: true,
    reportMissing: [alice],
  }

  it('is read from protobuf as Wire declares it', () => {
    const bytes = unqualifiedType
      .encode({
        sender: { client: long('ab') },
        recipients: [
          {
            user: { uuid: uuidBytes(bob) },
            clients: [{ client: { client: long('c1') }, text: Uint8Array.of(1, 2, 255) }],
          },
        ],
        native_push: false,
        native_priority: 2,
        blob: Uint8Array.of(7),
        transient: true,
        report_missing: [{ uuid: uuidBytes(alice) }],
      })
      .finish()
    const message = decodeUnqualifiedOtrMessage(new Uint8Array(bytes), 'application/x-protobuf')
    expect(message).toEqual(expected)
  })

  const fromJson = (value: unknown) =>
    decodeUnqualifiedOtrMessage(Buffer.from(JSON.stringify(value)), 'application/json')

  it('is read from JSON, in which texts are base64', () => {
    expect(
      fromJson({
        sender: '00AB',
        recipients: { [bob.toUpperCase()]: { '0c1': 'AQL/' } },
        native_push: false,
        native_priority: 'high',
        data: 'Bw==',
        transient: true,
        report_missing: [alice],
        unknown: {},
      }),
    ).toEqual(expected)
  })

  it('has the same defaults in both', () => {
    const defaults = { sender: '1', recipients: new Map(), nativePush: true, transient: false }
    expect(fromJson({ sender: '1', recipients: {} })).toEqual(defaults)
    const bytes = Uint8Array.of(0x0a, 2, 8, 1)
    expect(decodeUnqualifiedOtrMessage(bytes, 'application/x-protobuf')).toEqual(defaults)
  })

  it.each([
    ['no sender', { recipients: {} }],
    ['a sender that is no device', { sender: 'zz', recipients: {} }],
    ['a recipient that is no UUID', { sender: '1', recipients: { bob: {} } }],
    ['a text that is no base64', { sender: '1', recipients: { [bob]: { c1: '*' } } }],
    ['a list', []],
    ['null', null],
    ['a very long key', { sender: '1', recipients: { ['x'.repeat(5000)]: {} } }],
  ])('is refused with %s', (_, value) => {
    expect(() => fromJson(value)).toThrow(MalformedBody)
    expect(() => fromJson(value)).toThrow(/^.{0,300}$/)
  })

  it.each([
    ['broken JSON', '{"sender":'],
    ['JSON nested deeply', '['.repeat(1_000_000)],
    ['JSON with many values', `{"report_missing":[${'0,'.repeat(1_000_000)}0]}`],
  ])('is refused with %s', (_, text) => {
    const decode = () => decodeUnqualifiedOtrMessage(Buffer.from(text), 'application/json')
    expect(decode).toThrow(MalformedBody)
  })

  it('is a message or the declared error, whatever the bytes are', () => {
    const types = fc.constantFrom('application/json', 'application/x-protobuf')
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.json().map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(bodies, types, (body, type) => {
        try {
          expect(decodeUnqualifiedOtrMessage(body, type).sender).toMatch(/^[0-9a-f]+$/)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBody)
        }
      }),
      { numRuns: 500 },
    )
  })
})
