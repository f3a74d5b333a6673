import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openClient, type TurnClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { claimPort } from '../support/ports.ts'
import { raisedLimits, startRelay, type Relay } from './support/relay.ts'
import { addressBytes, addressFamily } from './support/stun.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

const hasIpv6 = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .some(({ address }) => address === '::1')

/** One or two addresses of each network that no peer may have. */
const never4 = {
  '0.0.0.0/8': ['0.0.0.0', '0.255.255.255'],
  '127.0.0.0/8': ['127.0.0.1', '127.255.255.254'],
  '169.254.0.0/16': ['169.254.0.1', '169.254.169.254'],
  '224.0.0.0/4': ['224.0.0.1', '239.255.255.255'],
  '240.0.0.0/4': ['240.0.0.1', '255.255.255.255'],
}
const never6 = ['::', '::1', 'fe80::1', 'febf::1', 'fec0::1', 'ff02::1', 'ff0e::1']
const special4 = {
  '100.64.0.0/10': ['100.64.0.1', '100.127.255.255'],
  '192.0.0.0/24': ['192.0.0.1'],
  '192.0.2.0/24': ['192.0.2.1'],
  '192.31.196.0/24': ['192.31.196.1'],
  '192.52.193.0/24': ['192.52.193.1'],
  '192.88.99.0/24': ['192.88.99.1'],
  '192.175.48.0/24': ['192.175.48.1'],
  '198.18.0.0/15': ['198.18.0.1', '198.19.255.255'],
  '198.51.100.0/24': ['198.51.100.1'],
  '203.0.113.0/24': ['203.0.113.1'],
}
const special6 = [
  '64:ff9b:1::1',
  '100::1',
  '100:0:0:1::1',
  '2001:2::1',
  '2001:1ff::1',
  '2001:db8::1',
  '2620:4f:8000::1',
  '3fff::1',
  '5f00::1',
  'fc00::1',
]
const private4 = {
  '10.0.0.0/8': ['10.0.0.1', '10.255.255.255'],
  '172.16.0.0/12': ['172.16.0.1', '172.31.255.255'],
  '192.168.0.0/16': ['192.168.0.1', '192.168.255.255'],
}
const private6 = ['fd00::1', 'fdff:ffff::1']
/** Neighbours of all those, which anybody may have. */
const fine4 = ['9.255.255.255', '11.0.0.1', '172.32.0.1', '192.167.255.255', '100.63.255.255']
const fine6 = ['2a00::1', '2606:4700::1', '2620:4f:8001::1', '3ffe::1']

const hex = (bytes: Buffer): string => (bytes.toString('hex').match(/.{4}/g) ?? []).join(':')

/** IPv6 addresses that stand for an IPv4 address. */
function disguises(address: string): Record<string, string> {
  const bytes = addressBytes(address)
  const inverted = Buffer.from(bytes.map((byte) => byte ^ 0xff))
  return {
    mapped: `::ffff:${address}`,
    compatible: `::${address}`,
    nat64: `64:ff9b::${address}`,
    sixToFour: `2002:${hex(bytes)}::1`,
    teredoServer: `2001:0:${hex(bytes)}:0:0:0808:0808`,
    teredoClient: `2001:0:0808:0808:0:0:${hex(inverted)}`,
  }
}

async function codesOf(client: TurnClient, peer: string): Promise<(number | undefined)[]> {
  const bound = await client.bind(0x4000 + Math.floor(Math.random() * 0xfff), {
    host: peer,
    port: 3478,
  })
  return [(await client.permit(peer)).code, bound.code]
}

describe('whom clients may reach', () => {
  let relay: Relay
  let client4: TurnClient
  let client6: TurnClient | undefined

  beforeAll(async () => {
    relay = await startRelay({
      limits: { ...raisedLimits, permissions: 1000, channels: 1000 },
      moreHosts: hasIpv6 ? ['::1'] : [],
      peers: { loopbackForTests: false },
    })
    client4 = await openClient(relay)
    await client4.allocate()
    if (!hasIpv6) return
    client6 = await openClient(relay)
    await client6.allocate([addressFamily(2)])
  })
  afterAll(async () => {
    await client4[Symbol.asyncDispose]()
    await client6?.[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
  })

  for (const [network, addresses] of Object.entries({ ...never4, ...special4, ...private4 })) {
    // The relay's own address is a matter of ports; see below.
    const strangers = addresses.filter((address) => address !== '127.0.0.1')
    it(`refuses ${network} with 403`, async () => {
      for (const address of strangers) {
        expect(await codesOf(client4, address), address).toEqual([403, 403])
      }
    })

    it.skipIf(!hasIpv6)(`refuses ${network} in every IPv6 disguise`, async () => {
      for (const address of addresses) {
        for (const [disguise, peer] of Object.entries(disguises(address))) {
          expect(client6 && (await codesOf(client6, peer)), `${disguise} ${peer}`).toEqual([
            403, 403,
          ])
        }
      }
    })
  }

  it.skipIf(!hasIpv6).for([...never6.filter((each) => each !== '::1'), ...special6, ...private6])(
    'refuses %s with 403',
    async (peer) => {
      expect(client6 && (await codesOf(client6, peer))).toEqual([403, 403])
    },
  )

  it.for(fine4)('lets %s be a peer', async (peer) => {
    expect(await codesOf(client4, peer)).toEqual([undefined, undefined])
  })

  it.skipIf(!hasIpv6).for(fine6)('lets %s be a peer', async (peer) => {
    expect(client6 && (await codesOf(client6, peer))).toEqual([undefined, undefined])
  })

  it('answers 443 to a peer of the other family', async () => {
    expect(await codesOf(client4, '2a00::1')).toEqual([443, 443])
    if (client6 !== undefined) expect(await codesOf(client6, '9.9.9.9')).toEqual([443, 443])
  })

  it('grants all peers of a CreatePermission or none', async () => {
    await using client = await openClient(relay)
    await client.allocate()
    expect((await client.permit('9.9.9.9', '10.0.0.1')).code).toBe(403)
    expect((await client.permit('9.9.9.9', '9.9.9.10')).code).toBeUndefined()
  })

  it('sends nothing to a peer that it would refuse, permission asked or not', async () => {
    await using peer = await openPeer('127.0.0.2')
    client4.sendTo(peer.address, Buffer.from('to loopback'))
    client4.sendTo({ host: '127.0.0.1', port: relay.metricsPort }, Buffer.from('to the metrics'))
    expect(await peer.next(300)).toBeUndefined()
    const refused = [...(await relay.metrics())].filter(([name]) => /refusals?|policy/.test(name))
    expect(refused.length).toBeGreaterThan(0)
  })
})

describe('the relay’s own address', () => {
  it('is a peer at the ports of its relays, and at no other port', async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using client = await openClient(relay)
    await using other = await openClient(relay, { credentials: relay.credentialsFor(1) })
    const [relayed, theirs] = [await client.allocate(), await other.allocate()]
    expect((await client.permit(relay.host)).code).toBeUndefined()
    await other.permit(relay.host)
    client.sendTo(theirs, Buffer.from('between relays'))
    expect(await other.next()).toMatchObject({ peer: relayed })
    await using service = await openPeer(relay.host)
    client.sendTo(service.address, Buffer.from('to a local service'))
    expect((await client.bind(0x4000, service.address)).code).toBe(403)
    expect((await client.bind(0x4001, { host: relay.host, port: relay.port })).code).toBe(403)
    expect((await client.bind(0x4002, theirs)).code).toBeUndefined()
    expect(await service.next(300)).toBeUndefined()
  })
})

describe('an operator’s lists', () => {
  it('are asked in order: never, allow, deny, then private space', async () => {
    await using relay = await startRelay({
      limits: raisedLimits,
      peers: {
        loopbackForTests: false,
        never: ['10.1.1.0/24'],
        allow: ['10.1.0.0/16', '192.0.2.7'],
        deny: ['10.1.2.3', '9.0.0.0/8'],
        private: 'allow',
      },
    })
    await using client = await openClient(relay)
    await client.allocate()
    const expected = {
      '10.1.1.1': 403,
      '10.1.2.3': undefined,
      '192.0.2.7': undefined,
      '192.0.2.8': 403,
      '9.9.9.9': 403,
      '8.8.8.8': undefined,
      '192.168.1.1': undefined,
      '169.254.169.254': 403,
    }
    for (const [peer, code] of Object.entries(expected)) {
      expect((await client.permit(peer)).code, peer).toBe(code)
    }
  })

  it('cannot open what is never allowed', async () => {
    await using relay = await startRelay({
      limits: raisedLimits,
      peers: {
        loopbackForTests: false,
        allow: ['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '0.0.0.0/8'],
      },
    })
    await using client = await openClient(relay)
    await client.allocate()
    const port = await claimPort('127.0.0.2')
    for (const host of ['127.0.0.2', '169.254.169.254', '224.0.0.1', '0.0.0.0']) {
      expect((await client.permit(host)).code, host).toBe(403)
      expect((await client.bind(0x4000, { host, port })).code, host).toBe(403)
    }
  })
})
