import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientAddress, limitKey, parseNetworks } from './networks.ts'

const nobody = parseNetworks([])
const proxies = parseNetworks(['10.0.0.0/8', 'fd00::/8', '192.0.2.7'])

/** Anything that a client may write into the header, addresses among it. */
const hop = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom(
    '',
    ' ',
    'unknown',
    '::ffff:10.1.2.3',
    '::FFFF:10.1.2.3',
    'fe80::1%eth0',
    '1.2.3.4:80',
  ),
  fc.constantFrom('[::1]', '0x7f.1', '127.1', '١.١.١.١', '10.0.0.1\0', '__proto__'),
  fc.string({ maxLength: 20 }),
)
const forwardedFor = fc.array(hop, { maxLength: 6 }).map((hops) => hops.join(','))

describe('networks', () => {
  it('hold addresses and ranges of both kinds', () => {
    for (const address of [
      '10.9.9.9',
      '::ffff:10.1.1.1',
      '::FFFF:10.1.1.1',
      'fd12::1',
      '192.0.2.7',
    ]) {
      expect(proxies.includes(address), address).toBe(true)
    }
    for (const address of ['11.0.0.1', 'fe80::1', 'fe80::1%eth0', '192.0.2.8', 'x', '']) {
      expect(proxies.includes(address), address).toBe(false)
    }
  })

  it('refuse what is none, with its text', () => {
    for (const entry of [
      'x',
      '',
      '10.0.0.0/33',
      '10.0.0.0/x',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fd00::/129',
      '10.0.0/8',
    ]) {
      expect(() => parseNetworks([entry]), entry).toThrow(entry)
    }
  })
})

describe('the address of a client', () => {
  it('is that of the peer, whatever the peer says, unless it is a proxy of ours', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), forwardedFor, (peer, header) => {
        expect(clientAddress(peer, header, nobody)).toBe(peer)
      }),
    )
    expect(clientAddress('::ffff:1.2.3.4', undefined, nobody)).toBe('1.2.3.4')
    expect(clientAddress('fe80::1%eth0', '1.2.3.4', proxies)).toBe('fe80::1%eth0')
  })

  it('is the nearest one that is not a proxy: what stands left of it may be made up', () => {
    fc.assert(
      fc.property(forwardedFor, fc.ipV4(), (madeUp, client) => {
        fc.pre(!proxies.includes(client))
        const header = `${madeUp}, ${client}, 10.0.0.2,fd00::3`
        expect(clientAddress('10.0.0.1', header, proxies)).toBe(client)
      }),
    )
  })

  it('is found in any header without failing', () => {
    fc.assert(
      fc.property(forwardedFor, fc.constantFrom('10.0.0.1', 'fd00::1', '', 'x'), (header, peer) => {
        const address = clientAddress(peer, header, proxies)
        expect(typeof limitKey(address)).toBe('string')
      }),
    )
  })
})

describe('the key of a limit', () => {
  it('is the address of IPv4, and the first 64 bits of IPv6 in any spelling', () => {
    expect(limitKey('192.0.2.1')).toBe('192.0.2.1')
    for (const address of [
      '2001:db8:0:7::1',
      '2001:DB8::7:0:0:0:1',
      '2001:0db8:0000:0007:ffff::',
    ]) {
      expect(limitKey(address), address).toBe('2001:db8:0:7')
    }
    expect(limitKey('64:ff9b::192.0.2.1')).toBe('64:ff9b:0:0')
    expect(limitKey('fe80::1%eth0')).toBe('fe80:0:0:0')
    expect(limitKey('::1')).toBe('0:0:0:0')
  })

  it('is the same for all addresses of one network, and for no others', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16))
    const half = fc.tuple(group, group, group, group).map((groups) => groups.join(':'))
    fc.assert(
      fc.property(half, half, half, half, (network, host, otherHost, otherNetwork) => {
        fc.pre(network !== otherNetwork)
        expect(limitKey(`${network}:${host}`)).toBe(limitKey(`${network}:${otherHost}`))
        expect(limitKey(`${network}:${host}`)).not.toBe(limitKey(`${otherNetwork}:${host}`))
      }),
    )
  })
})
