import { describe, expect, it } from 'vitest'
import { longTermKey } from '../credentials.ts'
import * as attributes from './attributes.ts'
import { find, unknownTypes } from './attributes.ts'
import { formatEndpoint } from './ip.ts'
import { decodeMessage, methods } from './message.ts'
import { hasIntegrity, isFingerprintRight, sealMessage } from './protection.ts'

/** The messages of RFC 5769 §2.1 to §2.4, word by word. */
const words = (...lines: string[]): Uint8Array =>
  Buffer.from(lines.map((line) => line.replace(/ .*$/, '')).join(''), 'hex')

const shortTermKey = Buffer.from('VOkJxbRl1RmTxUk/WvJxBt')
const transaction = ['2112a442 cookie', 'b7e7a701 transaction', 'bc34d686', 'fa87dfae']

describe('the request of RFC 5769 §2.1', () => {
  const request = words(
    '00010058 Binding request, 88 bytes',
    ...transaction,
    '80220010 SOFTWARE, 16 bytes',
    '5354554e STUN',
    '20746573  tes',
    '7420636c t cl',
    '69656e74 ient',
    '00240004 PRIORITY, of ICE',
    '6e0001ff',
    '80290008 ICE-CONTROLLED',
    '932ff9b1',
    '51263b36',
    '00060009 USERNAME, 9 bytes',
    '6576746a evtj',
    '3a683676 :h6v',
    '59202020 Y, three spaces of padding',
    '00080014 MESSAGE-INTEGRITY',
    '9aeaa70c',
    'bfd8cb56',
    '781ef2b5',
    'b2d3f249',
    'c1b571a2',
    '80280004 FINGERPRINT',
    'e57a3bcf',
  )
  const message = decodeMessage(request)

  it('is read, though its padding is not zeros', () => {
    expect(message).toMatchObject({ class: 'request', method: methods.binding })
    expect(find(message, attributes.software)).toBe('STUN test client')
    expect(find(message, attributes.username)).toBe('evtj:h6vY')
    expect(unknownTypes(message)).toEqual([0x0024])
  })

  it('carries the integrity of its password and a right fingerprint', () => {
    expect(hasIntegrity(message, shortTermKey)).toBe(true)
    expect(hasIntegrity(message, Buffer.from('another'))).toBe(false)
    expect(isFingerprintRight(message)).toBe(true)
  })

  it('fails in each single bit that is turned, but in the padding of what is not protected', () => {
    for (let bit = 0; bit < request.length * 8; bit += 1) {
      const turned = Uint8Array.from(request)
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      let isAccepted = false
      try {
        const read = decodeMessage(turned)
        isAccepted =
          read.fingerprintAt !== undefined &&
          isFingerprintRight(read) &&
          hasIntegrity(read, shortTermKey)
      } catch {
        // Malformed is as good.
      }
      expect(isAccepted).toBe(false)
    }
  })
})

describe('the replies of RFC 5769 §2.2 and §2.3', () => {
  const start = (length: string) => [
    `010100${length} Binding success`,
    ...transaction,
    '8022000b SOFTWARE, 11 bytes',
    '74657374 test',
    '20766563  vec',
    '746f7220 tor, a space of padding',
  ]
  const overIpv4 = words(
    ...start('3c'),
    '00200008 XOR-MAPPED-ADDRESS',
    '0001a147 IPv4, port 32853 xor 0x2112',
    'e112a643 192.0.2.1 xor cookie',
    '00080014 MESSAGE-INTEGRITY',
    '2b91f599',
    'fd9e90c3',
    '8c7489f9',
    '2af9ba53',
    'f06be7d7',
    '80280004 FINGERPRINT',
    'c07d4c96',
  )
  const overIpv6 = words(
    ...start('48'),
    '00200014 XOR-MAPPED-ADDRESS',
    '0002a147 IPv6, port 32853 xor 0x2112',
    '0113a9fa 2001:db8:1234:5678:11:2233:4455:6677',
    'a5d3f179 xor cookie and transaction',
    'bc25f4b5',
    'bed2b9d9',
    '00080014 MESSAGE-INTEGRITY',
    'a382954e',
    '4be67bf1',
    '1784c97c',
    '8292c275',
    'bfe3ed41',
    '80280004 FINGERPRINT',
    'c8fb0b4c',
  )

  it.each([
    ['IPv4', overIpv4, '192.0.2.1:32853'],
    ['IPv6', overIpv6, '[2001:db8:1234:5678:11:2233:4455:6677]:32853'],
  ])('carry the mapped address over %s', (_family, bytes, expected) => {
    const message = decodeMessage(bytes)
    expect(message).toMatchObject({ class: 'success', method: methods.binding })
    const mapped = find(message, attributes.xorMappedAddress)
    expect(mapped && formatEndpoint(mapped)).toBe(expected)
    expect(hasIntegrity(message, shortTermKey)).toBe(true)
    expect(isFingerprintRight(message)).toBe(true)
  })
})

describe('the request with long-term credentials of RFC 5769 §2.4', () => {
  const request = words(
    '00010060 Binding request, 96 bytes',
    '2112a442 cookie',
    '78ad3433 transaction',
    'c6ad72c0',
    '29da412e',
    '00060012 USERNAME, 18 bytes',
    'e3839ee3 "matrix" in katakana',
    '8388e383',
    'aae38383',
    'e382afe3',
    '82b90000 two bytes of padding',
    '0015001c NONCE, 28 bytes',
    '662f2f34 f//4',
    '39396b39 99k9',
    '35346436 54d6',
    '4f4c3334 OL34',
    '6f4c3946 oL9F',
    '53547679 STvy',
    '36347341 64sA',
    '0014000b REALM, 11 bytes',
    '6578616d exam',
    '706c652e ple.',
    '6f726700 org',
    '00080014 MESSAGE-INTEGRITY',
    'f6702465',
    '6dd64a3e',
    '02b8e071',
    '2e85c9a2',
    '8ca89666',
  )
  const username = Buffer.from('e3839ee38388e383aae38383e382afe382b9', 'hex').toString('latin1')

  it('carries the integrity of its user', () => {
    const message = decodeMessage(request)
    expect(find(message, attributes.username)).toBe(username)
    expect(find(message, attributes.realm)).toBe('example.org')
    expect(find(message, attributes.nonce)).toBe('f//499k954d6OL34oL9FSTvy64sA')
    expect(hasIntegrity(message, longTermKey(username, 'example.org', 'TheMatrIX'))).toBe(true)
  })
})

it('seals what it verifies, with either hash and the fingerprint last', () => {
  const key = Buffer.from('key')
  const transactionId = Buffer.alloc(12, 7)
  for (const hash of ['sha1', 'sha256'] as const) {
    const bytes = sealMessage(
      { class: 'request', method: methods.allocate, transactionId, attributes: [] },
      { key, hash, hasFingerprint: true },
    )
    const message = decodeMessage(bytes)
    expect(hasIntegrity(message, key, hash)).toBe(true)
    expect(isFingerprintRight(message)).toBe(true)
    expect(hasIntegrity(message, Buffer.from('kez'), hash)).toBe(false)
  }
})
