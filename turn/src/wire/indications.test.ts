import fc from 'fast-check'
import { expect, it } from 'vitest'
import * as attributes from './attributes.ts'
import { find, written } from './attributes.ts'
import { dataHeaderBytes, dataHeaders } from './data-indication.ts'
import { ipv4, ipv6, type Endpoint } from './ip.ts'
import { decodeMessage, encodeMessage, methods } from './message.ts'
import { emptySendIndication, readSendIndication } from './send-indication.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const peer: fc.Arbitrary<Endpoint> = fc.record({
  ip: fc.oneof(
    word.map(ipv4),
    fc.tuple(word, word, word, word).map((words) => ipv6(...words)),
  ),
  port: fc.integer({ min: 0, max: 65_535 }),
})
const payload = fc.uint8Array({ maxLength: 200 })

it('a Send indication is read in place as it is read in general', () => {
  fc.assert(
    fc.property(
      peer,
      payload,
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      (peer, payload, transactionId, isUnfragmented, isDataFirst) => {
        const parts = [written(attributes.xorPeerAddress, peer), written(attributes.data, payload)]
        if (isDataFirst) parts.reverse()
        if (isUnfragmented) parts.push(written(attributes.dontFragment, true))
        const bytes = encodeMessage({
          class: 'indication',
          method: methods.send,
          transactionId,
          attributes: parts.map((write) => write(transactionId)),
        })
        const padded = Buffer.concat([Buffer.alloc(5, 0xee), bytes, Buffer.alloc(5, 0xee)])
        const into = emptySendIndication()
        expect(readSendIndication(padded, 5, bytes.length, into)).toBe('read')
        expect(into).toMatchObject({ ...peer.ip, port: peer.port, isUnfragmented })
        const read = padded.subarray(into.dataAt, into.dataAt + into.dataBytes)
        expect(Buffer.compare(read, payload)).toBe(0)
      },
    ),
  )
})

it('a Send indication of random attributes is read within its bounds, or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (rest) => {
      const bytes = new Uint8Array(20 + rest.length)
      bytes.set(rest, 20)
      const into = emptySendIndication()
      if (readSendIndication(bytes, 0, bytes.length, into) !== 'read') return
      expect(into.dataAt + into.dataBytes).toBeLessThanOrEqual(bytes.length)
    }),
    { numRuns: 1000 },
  )
})

it('a Data indication carries peer and payload under a fresh transaction id each time', () => {
  const headers = dataHeaders()
  const ids = new Set<string>()
  fc.assert(
    fc.property(peer, payload, ({ ip, port }, payload) => {
      const headerBytes = dataHeaderBytes(ip.family)
      const bytes = new Uint8Array(headerBytes + payload.length + (-payload.length & 3))
      headers.write(bytes, 0, ip.family, ip.a, ip.b, ip.c, ip.d, port, payload.length)
      bytes.set(payload, headerBytes)
      const message = decodeMessage(bytes)
      expect(message).toMatchObject({ class: 'indication', method: methods.data })
      expect(find(message, attributes.xorPeerAddress)).toEqual({ ip, port })
      const carried = find(message, attributes.data) ?? new Uint8Array(1)
      expect(Buffer.compare(carried, payload)).toBe(0)
      ids.add(Buffer.from(message.transactionId).toString('hex'))
    }),
    { numRuns: 1000 },
  )
  expect(ids.size).toBe(1000)
})
