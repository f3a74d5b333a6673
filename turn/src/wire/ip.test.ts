import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatIp, ipBytes, ipv6, parseIp, readIp } from './ip.ts'

it.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::', '::'],
  ['::1', '::1'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
])('reads %s and writes %s', (text, expected) => {
  const ip = parseIp(text)
  expect(ip && formatIp(ip)).toBe(expected)
})

it.each(['', '1', '1.2.3', '256.1.1.1', '::1::', 'fe80::1%eth0', 'localhost', '1:2:3'])(
  'refuses %j',
  (text) => {
    expect(parseIp(text)).toBeUndefined()
  },
)

it('writes any address as Node does, and reads that back', () => {
  const word = fc.oneof(fc.constant(0), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }))
  fc.assert(
    fc.property(word, word, word, word, (a, b, c, d) => {
      const ip = ipv6(a, b, c, d)
      expect(parseIp(formatIp(ip))).toEqual(ip)
      expect(readIp(ipBytes(ip))).toEqual(ip)
      const node = new SocketAddress({ address: formatIp(ip), family: 'ipv6' }).address
      expect(parseIp(node)).toEqual(ip)
    }),
  )
})
