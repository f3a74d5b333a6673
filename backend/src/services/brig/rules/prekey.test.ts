import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPrekey, clientIdFromLastKey } from './prekey.ts'

/** Made by Wire's core-crypto 9.3.4. */
const real: [id: number, key: string][] = [
  [
    0,
    'pQABAQACoQBYIC/IirTfD7FCAD39InJurDzEvgAMHNYovUGS86I/EXBNA6EAoQBYIIYkMmq5TXaSaIJTj7O0xRIA1bBAmI1OCcJWG+4aaA2kBPY=',
  ],
  [
    23,
    'pQABARcCoQBYIEQOgG+MPKyabtfjY5v4lSIbGxlHLfE6+AbuEK7ZeGLIA6EAoQBYIIYkMmq5TXaSaIJTj7O0xRIA1bBAmI1OCcJWG+4aaA2kBPY=',
  ],
  [
    24,
    'pQABARgYAqEAWCDTspV2DH+BnFn9pM9X6fpM17ZEqCai16t1EnwfykoFHgOhAKEAWCCGJDJquU12kmiCU4+ztMUSANWwQJiNTgnCVhvuGmgNpAT2',
  ],
  [
    255,
    'pQABARj/AqEAWCAtkrm/5lKHgz97aR2EIs/f3kWrl5zIj8uVYMlek6dFvAOhAKEAWCCGJDJquU12kmiCU4+ztMUSANWwQJiNTgnCVhvuGmgNpAT2',
  ],
  [
    256,
    'pQABARkBAAKhAFggjrx+EqRxVgviBtQnaPGLcv40xm8WEYtPRLR05JpvGBIDoQChAFgghiQyarlNdpJoglOPs7TFEgDVsECYjU4JwlYb7hpoDaQE9g==',
  ],
  [
    65535,
    'pQABARn//wKhAFggym4RxEtt26o1m3xGfXxJcY+MjT2DrDNiNT/paGyyGxEDoQChAFgghiQyarlNdpJoglOPs7TFEgDVsECYjU4JwlYb7hpoDaQE9g==',
  ],
]
const lastKey =
  'pQABARn//wKhAFggym4RxEtt26o1m3xGfXxJcY+MjT2DrDNiNT/paGyyGxEDoQChAFgghiQyarlNdpJoglOPs7TFEgDVsECYjU4JwlYb7hpoDaQE9g=='

const key = 'aa'.repeat(32)
const identity = 'bb'.repeat(32)
const signature = 'cc'.repeat(64)
/** A bundle from hex, in which spaces and words for the long parts make the structure visible. */
const bundle = (notation: string) =>
  Buffer.from(
    notation
      .replace('KEY', `5820 ${key}`)
      .replace('IDENTITY', `5820 ${identity}`)
      .replace('SIGNATURE', `5840 ${signature}`)
      .replaceAll(' ', ''),
    'hex',
  ).toString('base64')

describe('a prekey', () => {
  it.each(real)("of Wire's library with the number %i is good", (id, text) => {
    expect(checkPrekey({ id, key: text })).toBe('ok')
  })

  it.each(real)('with the number %i is not good under another', (id, text) => {
    expect(checkPrekey({ id: id ^ 1, key: text })).toBe('wrong-id')
  })

  it.each([
    ['with a signature', 'a5 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY 04 a1 00 SIGNATURE'],
    ['without a field for the signature', 'a4 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
    ['in another order', 'a5 04 f6 03 a1 00 a1 00 IDENTITY 02 a1 00 KEY 01 07 00 01'],
    ['with numbers in four bytes', 'a4 00 01 01 1a 00000007 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
  ])('is good %s', (_, notation) => {
    expect(checkPrekey({ id: 7, key: bundle(notation) })).toBe('ok')
  })

  it.each([
    ['empty', ''],
    ['no CBOR', 'ff'],
    ['a number', '07'],
    ['an empty map', 'a0'],
    ['a map of endless length', 'bf 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY ff'],
    ['a map with billions of entries', 'ba ffffffff 00 01 01 07'],
    ['a map with more entries than fit', 'bb ffffffffffffffff 00 01'],
    ['cut', 'a5 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 5820 bb'],
    ['longer than it says', 'a4 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY 00'],
    ['without version', 'a3 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
    ['without id', 'a3 00 01 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
    ['without key', 'a3 00 01 01 07 03 a1 00 a1 00 IDENTITY'],
    ['without identity', 'a3 00 01 01 07 02 a1 00 KEY'],
    ['with two ids', 'a5 00 01 01 07 01 08 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
    ['with an unknown field', 'a5 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY 05 01'],
    ['with a negative id', 'a4 00 01 01 26 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY'],
    [
      'with a key of 31 bytes',
      `a4 00 01 01 07 02 a1 00 581f ${'aa'.repeat(31)} 03 a1 00 a1 00 IDENTITY`,
    ],
    ['with a bare key', 'a4 00 01 01 07 02 KEY 03 a1 00 a1 00 IDENTITY'],
    ['with a key under 1', 'a4 00 01 01 07 02 a1 01 KEY 03 a1 00 a1 00 IDENTITY'],
    ['with an identity wrapped once', 'a4 00 01 01 07 02 a1 00 KEY 03 a1 00 IDENTITY'],
    ['with a text for a key', `a4 00 01 01 07 02 a1 00 7820 ${key} 03 a1 00 a1 00 IDENTITY`],
    ['with undefined for a signature', 'a5 00 01 01 07 02 a1 00 KEY 03 a1 00 a1 00 IDENTITY 04 f7'],
  ])('is malformed when it is %s', (_, notation) => {
    expect(checkPrekey({ id: 7, key: bundle(notation) })).toBe('malformed')
  })

  it.each([
    ['with a line break', (text: string) => `${text}\n`],
    ['in base64url', (text: string) => text.replaceAll('+', '-').replaceAll('/', '_')],
    ['without padding', (text: string) => text.replaceAll('=', '')],
    ['with something behind it', (text: string) => `${text}!`],
    ['followed by a megabyte', (text: string) => text.replaceAll('=', '') + 'A'.repeat(1 << 20)],
  ])('is malformed as base64 %s', (_, change) => {
    expect(checkPrekey({ id: 65535, key: change(lastKey) })).toBe('malformed')
  })

  it('is ok, malformed or has the wrong id, whatever the bytes are', () => {
    const bytes = Buffer.from(lastKey, 'base64')
    const mutated = fc
      .tuple(fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 3 }), fc.nat(3))
      .map(([at, insert, drop]) =>
        Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + drop)]),
      )
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mutated), fc.nat(65535), (input, id) => {
        const text = Buffer.from(input).toString('base64')
        expect(['ok', 'malformed', 'wrong-id']).toContain(checkPrekey({ id, key: text }))
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(65535), (text, id) => {
        expect(checkPrekey({ id, key: text })).toBe('malformed')
      }),
    )
  })
})

describe('the id of a device', () => {
  it('is the hash of the text of its last key', () => {
    expect(clientIdFromLastKey(lastKey)).toBe('a6798d51eb76cd6b')
  })

  it('has no leading zeros', () => {
    expect(clientIdFromLastKey('key 159')).toBe('3a07a9381bd66a')
  })
})
