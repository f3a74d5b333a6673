import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf, testRelay, udp, unsigned, type TestClient } from '../testing/test-relay.ts'
import * as attributes from '../wire/attributes.ts'
import { find } from '../wire/attributes.ts'
import { methods, type MessageClass, type RawAttribute } from '../wire/message.ts'
import { sealMessage } from '../wire/protection.ts'

const key = Buffer.alloc(32, 7)
const raised = { limits: { refusalsPerSecond: 1_000_000, refusalsPerSecondInAll: 1_000_000 } }

function greet(client: TestClient): void {
  const reply = client.send(unsigned(methods.allocate, udp))
  client.nonce = (reply && find(reply, attributes.nonce)) ?? ''
}

const anyAttribute: fc.Arbitrary<RawAttribute> = fc.record({
  type: fc.constantFrom(0x0006, 0x0014, 0x0015, 0x0019, 0x0022, 0x0024, 0x8022),
  value: fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('dummy.io', 'aaaaaaaaaaaaaaaaaaaaaa').map((text) => Buffer.from(text)),
  ),
})

const anyMessage = fc
  .record({
    class: fc.constantFrom<MessageClass>('request', 'request', 'indication', 'success', 'error'),
    method: fc.constantFrom(1, 1, 3, 3, 4, 6, 7, 8, 9, 0x3f),
    transactionId: fc.uint8Array({ minLength: 12, maxLength: 12 }),
    attributes: fc.array(anyAttribute, { maxLength: 6 }),
    isSigned: fc.boolean(),
    hash: fc.constantFrom('sha1' as const, 'sha256' as const),
    hasFingerprint: fc.boolean(),
    damagedAt: fc.option(fc.nat(), { freq: 1, nil: undefined }),
  })
  .map(({ isSigned, hash, hasFingerprint, damagedAt, ...message }) => {
    const bytes = sealMessage(message, {
      ...(isSigned ? { key: Buffer.alloc(16), hash } : {}),
      hasFingerprint,
    })
    if (damagedAt !== undefined) bytes[damagedAt % bytes.length] = 0x15
    return bytes
  })

describe('a stranger', () => {
  it.each([{}, { sha256: true }, { secureStun: true }])(
    'is answered at sight just as after reading (%o)',
    (config) => {
      const clients = ['192.0.2.10', '2001:db8::77'].map((address) =>
        [0, 1].map(() => testRelay({ ...raised, ...config }, { key }).client({ address, port: 7 })),
      )
      fc.assert(
        fc.property(anyMessage, (bytes) => {
          for (const [quick, thorough] of clients) {
            if (quick === undefined || thorough === undefined) throw new Error('two clients')
            quick.received.length = 0
            thorough.received.length = 0
            quick.receive(bytes)
            thorough.receiveUnseen(bytes)
            expect(quick.received).toEqual(thorough.received)
          }
        }),
        { numRuns: 2000 },
      )
    },
  )

  it('whose nonce is right is read while no refusal is left for anybody', () => {
    const relay = testRelay({ limits: { refusalsPerSecondInAll: 2 } })
    const [early, late] = [relay.client(), relay.client({ address: '192.0.2.11' })]
    greet(early)
    greet(late)
    const flood = relay.client({ address: '192.0.2.12' })
    expect(flood.send(unsigned(methods.allocate))).toBeUndefined()
    const false438 = flood.signed(methods.allocate, [udp], { nonce: late.nonce })
    expect(flood.send(false438)).toBeUndefined()
    expect(codeOf(late.send(late.signed(methods.allocate, [udp])))).toBe(0)
    // A wrong password of somebody with a right nonce needs a refusal, and there is none.
    const wrong = early.signed(methods.allocate, [udp], { key: Buffer.alloc(16) })
    expect(early.send(wrong)).toBeUndefined()
    expect(relay.server.counters.drops['refusal-limit']).toBe(3)
    expect(relay.server.counters.drops.defect).toBe(0)
  })

  it('is not read after fifty names that nobody has, until the next second', () => {
    const relay = testRelay({ limits: { refusalsPerSecond: 50 } })
    const client = relay.client()
    greet(client)
    const unknown = client.signed(methods.allocate, [udp], { username: 'nobody' })
    for (let count = 0; count < 50; count += 1) client.send(unknown)
    const right = (): Uint8Array => client.signed(methods.allocate, [udp])
    expect(client.send(right())).toBeUndefined()
    relay.clock.advance(1)
    expect(codeOf(client.send(right()))).toBe(0)
  })

  it('is counted by method and code, and by what it was dropped for', () => {
    const relay = testRelay({ limits: { refusalsPerSecond: 1 } })
    const client = relay.client()
    client.send(unsigned(methods.refresh))
    client.send(unsigned(methods.refresh))
    client.send(unsigned(methods.binding))
    client.send(Buffer.alloc(20))
    const { requests, drops, packetsFromClients, packetsToClients } = relay.server.counters
    expect(requests).toEqual({ 'refresh 401': 1, 'binding 0': 1 })
    expect(drops['refusal-limit']).toBe(1)
    expect(drops['not-turn']).toBe(1)
    expect([packetsFromClients, packetsToClients]).toEqual([4, 2])
  })
})
