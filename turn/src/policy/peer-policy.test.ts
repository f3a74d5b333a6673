import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { endpointOf, ipOf } from '../testing/test-relay.ts'
import { formatIp, ipBytes, type Ip } from '../wire/ip.ts'
import { network } from './network.ts'
import { embeddedIpv4, peerPolicy, type PeerPolicy } from './peer-policy.ts'

const ports = { from: 32_768, to: 60_999 }

function policy(peers: Record<string, unknown> = {}, own: readonly string[] = []): PeerPolicy {
  const { peers: config } = parseConfig(
    { credentials: { wire: { secretFiles: ['-'] } }, peers },
    'the test',
  )
  return peerPolicy(config, { addresses: own.map(ipOf), ports })
}

/** Every IPv6 address that stands for an IPv4 address. */
function disguises(text: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = ipBytes(ipOf(text))
  const hex = (high: number, low: number): string => ((high << 8) | low).toString(16)
  const [first, second] = [hex(a, b), hex(c, d)]
  const inverted = `${hex(a ^ 255, b ^ 255)}:${hex(c ^ 255, d ^ 255)}`
  return [
    `::ffff:${first}:${second}`,
    `::${first}:${second}`,
    `64:ff9b::${first}:${second}`,
    `2002:${first}:${second}::1`,
    `2002:${first}:${second}:1:2:3:4:5`,
    `2001:0:${first}:${second}:0:0:f7f7:f7f7`,
    `2001:0:808:808:8000:1234:${inverted}`,
  ]
}

const never = [
  '0.0.0.0',
  '0.1.2.3',
  '127.0.0.1',
  '127.255.255.255',
  '169.254.169.254',
  '169.254.0.0',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
]
const never6 = ['::', '::1', 'fe80::1', 'febf::1', 'fec0::1', 'feff::1', 'ff02::1', 'ff00::']
const special = [
  '100.64.0.1',
  '100.127.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.31.196.1',
  '192.52.193.1',
  '192.88.99.1',
  '192.175.48.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
]
const special6 = [
  '64:ff9b:1::1',
  '100::1',
  '100:0:0:1::1',
  '2001:100::1',
  '2001:1ff::1',
  '2001:db8::1',
  '2620:4f:8000::1',
  '3fff::1',
  '3fff:fff::1',
  '5f00::1',
  'fc00::1',
  'fcff::1',
]
const privates = ['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1']
const open = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.1',
  '100.63.255.255',
  '100.128.0.1',
  '126.1.1.1',
  '128.0.0.1',
  '169.253.1.1',
  '169.255.1.1',
  '172.15.1.1',
  '172.32.0.1',
  '191.1.1.1',
  '192.0.1.1',
  '192.0.3.1',
  '192.167.1.1',
  '192.169.0.1',
  '198.17.1.1',
  '198.20.0.1',
  '223.255.255.255',
]
const open6 = ['2600::1', '2a00:1450::1', '2003::1', '2001:200::1', '2001:db9::1']
/** Allowing everything, as an operator should not. */
const careless = { private: 'allow', allow: ['0.0.0.0/0', '::/0'] }

describe('peers', () => {
  it.each(never)('%s are never reached, in no disguise and whatever is allowed', (text) => {
    for (const each of [text, ...disguises(text)]) {
      expect(policy().judge(ipOf(each)).isAllowed).toBe(false)
      const verdict = policy(careless, ['192.0.2.1']).judge(ipOf(each))
      expect(verdict.isAllowed).toBe(false)
      expect(verdict.rule).toMatch(/^never /)
    }
  })

  it.each(never6)('%s are never reached, whatever is allowed', (text) => {
    expect(policy(careless).judge(ipOf(text))).toMatchObject({ isAllowed: false })
  })

  it.each(special)('%s of special purpose are reached only if they are allowed', (text) => {
    for (const each of [text, ...disguises(text)]) {
      expect(policy().judge(ipOf(each)).isAllowed).toBe(false)
      expect(policy(careless).judge(ipOf(each)).isAllowed).toBe(true)
    }
    expect(policy({ private: 'allow' }).judge(ipOf(text)).rule).toMatch(/^special /)
  })

  it.each(special6)('%s of special purpose are reached only if they are allowed', (text) => {
    expect(policy({ private: 'allow' }).judge(ipOf(text)).rule).toMatch(/^special /)
    expect(policy(careless).judge(ipOf(text)).isAllowed).toBe(true)
  })

  it.each(privates)('%s in private space are reached as the operator says', (text) => {
    const one = policy({ allow: [`${text}/32`] })
    for (const each of [text, ...disguises(text)]) {
      expect(policy().judge(ipOf(each)).isAllowed).toBe(false)
      // Teredo is of special purpose itself, the other forms are not.
      if (each.startsWith('2001:0:')) continue
      expect(policy({ private: 'allow' }).judge(ipOf(each)).isAllowed).toBe(true)
      expect(one.judge(ipOf(each)).isAllowed).toBe(true)
    }
    expect(policy().judge(ipOf(text)).rule).toMatch(/^private /)
  })

  it('fd00::/8 is private space too', () => {
    expect(policy().judge(ipOf('fd12::1'))).toMatchObject({ isAllowed: false })
    expect(policy({ private: 'allow' }).judge(ipOf('fd12::1')).isAllowed).toBe(true)
  })

  it.each([...open, ...open6])('%s are reached', (text) => {
    expect(policy().judge(ipOf(text))).toEqual({ isAllowed: true, rule: 'default', isOwn: false })
  })

  it('of the site are never reached, in no disguise and whatever is allowed', () => {
    const guarded = policy({ ...careless, never: ['10.1.0.0/16', '2600:1::/32'] })
    for (const each of ['10.1.2.3', ...disguises('10.1.2.3'), '2600:1::5']) {
      expect(guarded.judge(ipOf(each)).rule).toMatch(/^peers\.never /)
    }
    expect(guarded.judge(ipOf('10.2.0.1')).isAllowed).toBe(true)
  })

  it('are allowed first and denied then', () => {
    const lists = policy({ allow: ['8.8.8.8'], deny: ['8.8.0.0/16', '2600::/16'] })
    expect(lists.judge(ipOf('8.8.8.8')).rule).toBe('peers.allow 8.8.8.8')
    expect(lists.judge(ipOf('8.8.4.4')).rule).toBe('peers.deny 8.8.0.0/16')
    expect(lists.judge(ipOf('::ffff:8.8.4.4')).isAllowed).toBe(false)
    expect(lists.judge(ipOf('2600::1')).isAllowed).toBe(false)
  })

  it('on loopback are reached in tests alone', () => {
    const inTests = policy({ loopbackForTests: true })
    expect(inTests.judge(ipOf('127.0.0.1')).isAllowed).toBe(true)
    expect(inTests.judge(ipOf('::1')).isAllowed).toBe(true)
    expect(policy().judge(ipOf('::1')).isAllowed).toBe(false)
    expect(inTests.judge(ipOf('0.0.0.1')).isAllowed).toBe(false)
  })
})

describe('the own addresses of the relay', () => {
  it('are reached at relay ports alone, in any disguise, though they lie in private space', () => {
    const relay = policy({}, ['10.0.0.5', '203.0.113.5', 'fd00::5'])
    for (const each of ['10.0.0.5', '203.0.113.5', 'fd00::5', '::ffff:10.0.0.5']) {
      expect(relay.judge(ipOf(each))).toMatchObject({ isAllowed: true, isOwn: true })
      for (const [port, isAllowed] of [
        [22, false],
        [3478, false],
        [32_767, false],
        [32_768, true],
        [60_999, true],
        [61_000, false],
      ] as const) {
        const judged = relay.judgeEndpoint({ ip: ipOf(each), port })
        expect(judged).toMatchObject({ isAllowed, isOwn: true })
      }
    }
    expect(relay.judgeEndpoint(endpointOf('1.1.1.1:22'))).toMatchObject({ isAllowed: true })
  })
})

it('a network holds exactly the addresses that begin with its bits', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  fc.assert(
    fc.property(bytes, bytes, fc.nat(), (base, other, seed) => {
      const bits = seed % (base.length * 8 + 1)
      const binary = (value: Uint8Array): string =>
        [...value].map((byte) => byte.toString(2).padStart(8, '0')).join('')
      const text = (value: Uint8Array): string => formatIp(ipOfBytes(value))
      const isWithin =
        base.length === other.length && binary(base).slice(0, bits) === binary(other).slice(0, bits)
      const held = network(`${text(base)}/${String(bits)}`)
      expect(held.contains(ipOfBytes(other))).toBe(isWithin)
      expect(held.contains(ipOfBytes(base))).toBe(true)
    }),
  )
  function ipOfBytes(value: Uint8Array): Ip {
    return ipOf(
      value.length === 4
        ? value.join('.')
        : Array.from({ length: 8 }, (_, at) =>
            (((value[at * 2] ?? 0) << 8) | (value[at * 2 + 1] ?? 0)).toString(16),
          ).join(':'),
    )
  }
})

it('the IPv4 address within an IPv6 address is found in every form', () => {
  for (const each of disguises('10.1.2.3')) {
    expect(embeddedIpv4(ipOf(each)).map(formatIp)).toContain('10.1.2.3')
  }
  expect(embeddedIpv4(ipOf('2600::a01:203'))).toEqual([])
})
