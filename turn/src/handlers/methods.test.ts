import { describe, expect, it } from 'vitest'
import {
  codeOf,
  endpointOf,
  indication,
  ipOf,
  peer,
  relayAddress,
  relayAddress6,
  relayOfClient,
  testRelay,
  udp,
  type TestClient,
} from '../testing/test-relay.ts'
import * as attributes from '../wire/attributes.ts'
import { find, findAll, written } from '../wire/attributes.ts'
import { formatEndpoint } from '../wire/ip.ts'
import { decodeMessage, methods } from '../wire/message.ts'

const family = (number: number) => written(attributes.requestedAddressFamily, number)
const additional = (number: number) => written(attributes.additionalAddressFamily, number)
const even = (isPair: boolean) => written(attributes.evenPort, isPair)
const lifetime = (seconds: number) => written(attributes.lifetime, seconds)
const channel = (number: number) => written(attributes.channelNumber, number)
const token = (bytes: Uint8Array) => written(attributes.reservationToken, bytes)
const both = { relays: [relayAddress, relayAddress6] }
const somebody = '192.88.0.1:5000'

function allocated(client: TestClient): TestClient {
  expect(codeOf(client.ask(methods.allocate, udp))).toBe(0)
  return client
}

describe('Allocate', () => {
  it('gives a relayed address, a lifetime and the mapped address', () => {
    const relay = testRelay()
    const client = relay.client()
    const reply = client.ask(methods.allocate, udp)
    const relayed = find(reply, attributes.xorRelayedAddress)
    expect(relayed?.ip).toEqual(ipOf(relayAddress))
    expect(relayed?.port).toBeGreaterThanOrEqual(32_768)
    expect(relayed?.port).toBeLessThanOrEqual(60_999)
    expect(find(reply, attributes.lifetime)).toBe(600)
    expect(find(reply, attributes.xorMappedAddress)).toEqual(client.path.client)
    expect([...relay.open]).toEqual([relayed && formatEndpoint(relayed)])
  })

  it('repeated with the same transaction gives the same, with another 437', () => {
    const relay = testRelay()
    const client = relay.client()
    client.ask(methods.binding)
    const bytes = client.signed(methods.allocate, [udp, even(true)])
    const first = client.send(bytes)
    const second = client.send(bytes)
    expect(Buffer.from(second?.bytes ?? '')).toEqual(Buffer.from(first?.bytes ?? ''))
    expect(relay.open.size).toBe(1)
    expect(codeOf(client.ask(methods.allocate, udp))).toBe(437)
  })

  it('grants what is asked, between ten minutes and an hour', () => {
    const asked = { 0: 600, 1: 600, 600: 600, 1800: 1800, 3600: 3600, 4_294_967_295: 3600 }
    for (const [seconds, granted] of Object.entries(asked)) {
      const reply = testRelay()
        .client()
        .ask(methods.allocate, udp, lifetime(Number(seconds)))
      expect(find(reply, attributes.lifetime)).toBe(granted)
    }
  })

  it.each([
    ['no transport', [], 400],
    ['TCP', [written(attributes.requestedTransport, 6)], 442],
    ['a token with EVEN-PORT', [udp, token(Buffer.alloc(8)), even(false)], 400],
    ['a token with a family', [udp, token(Buffer.alloc(8)), family(1)], 400],
    ['a token with a further family', [udp, token(Buffer.alloc(8)), additional(2)], 400],
    ['an unknown token', [udp, token(Buffer.alloc(8))], 508],
    ['both family attributes', [udp, family(1), additional(2)], 400],
    ['a family that is not offered', [udp, family(2)], 440],
    ['a family that nobody knows', [udp, family(3)], 440],
    ['IPv4 as a further family', [udp, additional(1)], 400],
    ['a further family with a reserved port', [udp, additional(2), even(true)], 400],
    ['an unknown attribute', [udp, () => ({ type: 0x7abc, value: Buffer.alloc(0) })], 420],
    ['a value of the wrong length', [udp, () => ({ type: 0x000d, value: Buffer.alloc(3) })], 400],
  ] as const)('with %s is refused', (_name, given, code) => {
    const relay = testRelay()
    expect(codeOf(relay.client().ask(methods.allocate, ...given))).toBe(code)
    expect(relay.open.size).toBe(0)
  })

  it('with DONT-FRAGMENT is refused by 420 where it cannot be kept', () => {
    const flag = written(attributes.dontFragment, true)
    const refused = testRelay({}, { canForbidFragments: false }).client()
    const reply = refused.ask(methods.allocate, udp, flag)
    expect(codeOf(reply)).toBe(420)
    expect(find(reply, attributes.unknownAttributes)).toEqual([0x001a])
    expect(codeOf(testRelay().client().ask(methods.allocate, udp, flag))).toBe(0)
  })

  it('gives the family that is asked for, IPv4 when none is', () => {
    const relay = testRelay({}, both)
    const got = (...given: Parameters<TestClient['ask']>[1][]): number[] => {
      const reply = relay.client().ask(methods.allocate, udp, ...given)
      return findAll(reply, attributes.xorRelayedAddress).map(({ ip }) => ip.family)
    }
    expect(got()).toEqual([4])
    expect(got(family(1))).toEqual([4])
    expect(got(family(2))).toEqual([6])
    expect(got(additional(2))).toEqual([4, 6])
  })

  it('says which of two families it could not give', () => {
    for (const [relays, familyNumber] of [
      [[relayAddress], 2],
      [[relayAddress6], 1],
    ] as const) {
      const reply = testRelay({}, { relays }).client().ask(methods.allocate, udp, additional(2))
      expect(codeOf(reply)).toBe(0)
      expect(find(reply, attributes.addressErrorCode)).toMatchObject({
        family: familyNumber,
        code: 440,
      })
    }
    const only4 = testRelay({ relay: { ports: { from: 40_000, to: 40_001 } } }, both)
    only4.foreign.add(`[${relayAddress6}]:40000`).add(`[${relayAddress6}]:40001`)
    const reply = only4.client().ask(methods.allocate, udp, additional(2))
    expect(find(reply, attributes.addressErrorCode)).toMatchObject({ family: 2, code: 508 })
  })

  it('holds the next port for thirty seconds for who brings the token, on any process', () => {
    const key = Buffer.alloc(32, 5)
    const relay = testRelay({}, { key })
    const reply = relay.client().ask(methods.allocate, udp, even(true))
    const port = find(reply, attributes.xorRelayedAddress)?.port ?? 1
    expect(port % 2).toBe(0)
    const held = find(reply, attributes.reservationToken) ?? Buffer.alloc(8)
    const elsewhere = testRelay({}, { key, share: { index: 1, count: 2 } })
    for (const each of [relay, elsewhere]) {
      const second = each.client().ask(methods.allocate, udp, token(held))
      expect(find(second, attributes.xorRelayedAddress)?.port).toBe(port + 1)
    }
    expect([...relay.kept]).toEqual([`${relayAddress}:${String(port + 1)}`])
    relay.clock.advance(30)
    relay.server.tick()
    expect(relay.kept.size).toBe(0)
    relay.clock.advance(-30)
    // Taken, it is not given twice.
    expect(codeOf(relay.client().ask(methods.allocate, udp, token(held)))).toBe(508)
    const late = testRelay({}, { key })
    late.clock.advance(30)
    expect(codeOf(late.client().ask(methods.allocate, udp, token(held)))).toBe(508)
    const stranger = testRelay()
    expect(codeOf(stranger.client().ask(methods.allocate, udp, token(held)))).toBe(508)
  })

  it('keeps at most 256 ports for tokens, the newest', () => {
    const limits = { allocationsPerUser: 1000, allocationsPerSource: 1000, refusalsPerSecond: 1000 }
    const relay = testRelay({ limits })
    const ports = Array.from({ length: 257 }, () => {
      const reply = relay.client().ask(methods.allocate, udp, even(true))
      return `${relayAddress}:${String((find(reply, attributes.xorRelayedAddress)?.port ?? 0) + 1)}`
    })
    expect([...relay.kept]).toEqual(ports.slice(1))
  })

  it('keeps to the quotas of user, source and family', () => {
    const limits = { allocationsPerUser: 2, allocationsPerSource: 3, allocationsPerFamily: 4 }
    const relay = testRelay({ limits })
    const allocate = (name: string, address: string): number | undefined => {
      const user = `d=9999999999.v=1.k=0.t=s.r=${name}`
      return codeOf(relay.client({ user, address }).ask(methods.allocate, udp))
    }
    expect(allocate('a', '192.0.2.1')).toBe(0)
    expect(allocate('a', '192.0.2.2')).toBe(0)
    expect(allocate('a', '192.0.2.3')).toBe(486)
    expect(allocate('b', '192.0.2.1')).toBe(0)
    expect(allocate('c', '192.0.2.1')).toBe(0)
    expect(allocate('d', '192.0.2.1')).toBe(486)
    expect(allocate('e', '192.0.2.5')).toBe(486)
    expect(relay.server.counters.limits).toEqual({
      allocationsPerUser: 1,
      allocationsPerSource: 1,
      allocationsPerFamily: 1,
    })
    const [first] = relay.server.state.allocations.values()
    expect(first).toBeDefined()
    relay.server.endAll('relay stops')
    expect(allocate('a', '192.0.2.1')).toBe(0)
  })

  it('is refused by 508 when no port is left, and works again when one has rested', () => {
    const relay = testRelay({ relay: { ports: { from: 40_000, to: 40_003 } } })
    const clients = Array.from({ length: 4 }, () => allocated(relay.client()))
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(508)
    expect(codeOf(clients[0]?.ask(methods.refresh, lifetime(0)))).toBe(0)
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(508)
    relay.clock.advance(119)
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(508)
    relay.clock.advance(1)
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(0)
  })

  it('while draining is refused by 508, or sent to another relay of its family and transport', () => {
    const drain = { alternates: [{ address: '203.0.113.7', port: 3479 }] }
    const relay = testRelay({ drain }, both)
    const old = allocated(relay.client())
    relay.server.state.isDraining = true
    const reply = relay.client().ask(methods.allocate, udp)
    expect(codeOf(reply)).toBe(300)
    expect(find(reply, attributes.alternateServer)).toEqual(endpointOf('203.0.113.7:3479'))
    expect(codeOf(relay.client({ transport: 'TCP' }).ask(methods.allocate, udp))).toBe(508)
    const ipv6 = relay.client({ address: '2001:db8:9::1' })
    expect(codeOf(ipv6.ask(methods.allocate, udp))).toBe(508)
    expect(codeOf(old.ask(methods.refresh))).toBe(0)
  })

  it('tells the address that NAT in front of the relay has', () => {
    const relay = testRelay({ relay: { external: { [relayAddress]: '203.0.113.5' } } })
    const reply = relay.client().ask(methods.allocate, udp)
    expect(find(reply, attributes.xorRelayedAddress)?.ip).toEqual(ipOf('203.0.113.5'))
    expect([...relay.open][0]).toMatch(relayAddress)
  })
})

describe('Refresh', () => {
  it('without an allocation is refused by 437', () => {
    expect(codeOf(testRelay().client().ask(methods.refresh))).toBe(437)
  })

  it('of a family that the allocation has not is refused by 443', () => {
    const client = allocated(testRelay({}, both).client())
    expect(codeOf(client.ask(methods.refresh, family(2)))).toBe(443)
    expect(codeOf(client.ask(methods.refresh, family(1)))).toBe(0)
  })

  it('grants at most an hour, and as little as is asked', () => {
    const client = allocated(testRelay().client())
    for (const [asked, granted] of [
      [1, 1],
      [600, 600],
      [7200, 3600],
    ] as const) {
      expect(find(client.ask(methods.refresh, lifetime(asked)), attributes.lifetime)).toBe(granted)
    }
    expect(find(client.ask(methods.refresh), attributes.lifetime)).toBe(600)
  })

  it('with 0 ends the allocation at once, and again is refused', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    const reply = client.ask(methods.refresh, lifetime(0))
    expect(find(reply, attributes.lifetime)).toBe(0)
    expect(relay.open.size).toBe(0)
    expect(codeOf(client.ask(methods.refresh, lifetime(0)))).toBe(437)
  })

  it('moves the end, to later and to sooner', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    const pass = (seconds: number): void => {
      for (let second = 0; second < seconds; second += 1) {
        relay.clock.advance(1)
        relay.server.tick()
      }
    }
    pass(500)
    client.nonce = ''
    expect(codeOf(client.ask(methods.refresh))).toBe(0)
    pass(599)
    expect(client.allocation()).toBeDefined()
    pass(1)
    expect(client.allocation()).toBeUndefined()
    expect(relay.open.size).toBe(0)
    const short = allocated(relay.client())
    short.ask(methods.refresh, lifetime(5))
    pass(4)
    expect(short.allocation()).toBeDefined()
    pass(1)
    expect(short.allocation()).toBeUndefined()
    expect(relay.lines.filter(({ fields }) => fields['reason'] === 'expired')).toHaveLength(2)
  })

  it('to and fro leaves one timer at the wheel, not one for each', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    let timers = 1
    const { wheel } = relay.server.state
    const add = wheel.add.bind(wheel)
    const remove = wheel.remove.bind(wheel)
    wheel.add = (at, onDue) => {
      timers += 1
      return add(at, onDue)
    }
    wheel.remove = (timer) => {
      timers -= 1
      remove(timer)
    }
    for (let count = 0; count < 50; count += 1) {
      client.ask(methods.refresh, lifetime(3600))
      client.ask(methods.refresh, lifetime(5))
    }
    expect(timers).toBe(1)
    client.ask(methods.refresh, lifetime(60))
    for (let second = 0; second < 59; second += 1) {
      relay.clock.advance(1)
      relay.server.tick()
    }
    expect(client.allocation()).toBeDefined()
    relay.clock.advance(1)
    relay.server.tick()
    expect(client.allocation()).toBeUndefined()
  })

  it('of one of two families ends that one alone', () => {
    const relay = testRelay({}, both)
    const client = relay.client()
    client.ask(methods.allocate, udp, additional(2))
    client.ask(methods.refresh, family(1), lifetime(0))
    expect([...relay.open]).toHaveLength(1)
    expect(codeOf(client.ask(methods.createPermission, peer(somebody)))).toBe(443)
    client.ask(methods.refresh, lifetime(0))
    expect(relay.open.size).toBe(0)
    expect(relay.server.state.quotas.count('family:4')).toBe(0)
    expect(relay.server.state.quotas.count('family:6')).toBe(0)
  })
})

describe('CreatePermission', () => {
  it.each([
    ['no peer', [], 400],
    ['a peer of another family', [peer('[2600::1]:1')], 443],
    ['a peer that is never reached', [peer('169.254.169.254:80')], 403],
    ['one such among good ones', [peer(somebody), peer('127.0.0.1:80')], 403],
    ['a peer cut short', [() => ({ type: 0x0012, value: Buffer.alloc(7) })], 400],
  ] as const)('with %s is refused, whole', (_name, given, code) => {
    const client = allocated(testRelay().client())
    expect(codeOf(client.ask(methods.createPermission, ...given))).toBe(code)
    expect(client.allocation()?.permissions).toEqual([])
  })

  it('without an allocation is refused by 437', () => {
    expect(codeOf(testRelay().client().ask(methods.createPermission, peer(somebody)))).toBe(437)
  })

  it('installs as many as the limit allows, all of them or none', () => {
    const relay = testRelay({ limits: { permissions: 3 } })
    const client = allocated(relay.client())
    const two = [peer('192.88.0.1:1'), peer('192.88.0.2:1')]
    expect(codeOf(client.ask(methods.createPermission, ...two))).toBe(0)
    const more = [peer('192.88.0.3:1'), peer('192.88.0.4:1')]
    expect(codeOf(client.ask(methods.createPermission, ...more))).toBe(508)
    expect(client.allocation()?.permissions).toHaveLength(2)
    expect(codeOf(client.ask(methods.createPermission, ...two, peer('192.88.0.3:1')))).toBe(0)
    relay.clock.advance(300)
    expect(codeOf(client.ask(methods.createPermission, ...more))).toBe(0)
  })
})

describe('ChannelBind', () => {
  it.each([
    ['no number', [peer(somebody)], 400],
    ['no peer', [channel(0x4000)], 400],
    ['a number too low', [channel(0x3fff), peer(somebody)], 400],
    ['a number too high', [channel(0x5000), peer(somebody)], 400],
    ['a peer of another family', [channel(0x4000), peer('[2600::1]:1')], 443],
    ['a peer that is never reached', [channel(0x4000), peer('127.0.0.1:22')], 403],
  ] as const)('with %s is refused', (_name, given, code) => {
    const client = allocated(testRelay().client())
    expect(codeOf(client.ask(methods.channelBind, ...given))).toBe(code)
    expect(client.allocation()?.channels).toEqual([])
  })

  it('without an allocation is refused by 437', () => {
    const client = testRelay().client()
    expect(codeOf(client.ask(methods.channelBind, channel(0x4000), peer(somebody)))).toBe(437)
  })

  it('keeps a number and a peer together until five minutes after the channel expired', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    const bind = (number: number, to: string): number | undefined =>
      codeOf(client.ask(methods.channelBind, channel(number), peer(to)))
    client.ask(methods.refresh, lifetime(3600))
    expect(bind(0x4000, somebody)).toBe(0)
    expect(bind(0x4000, somebody)).toBe(0)
    expect(bind(0x4000, '192.88.0.1:5001')).toBe(400)
    expect(bind(0x4001, somebody)).toBe(400)
    expect(bind(0x4fff, '192.88.0.1:5001')).toBe(0)
    relay.clock.advance(899)
    client.nonce = ''
    expect(bind(0x4000, '192.88.0.1:5002')).toBe(400)
    relay.clock.advance(1)
    expect(bind(0x4000, '192.88.0.1:5002')).toBe(0)
  })

  it('binds as many as the limit allows', () => {
    const client = allocated(testRelay({ limits: { channels: 1 } }).client())
    expect(codeOf(client.ask(methods.channelBind, channel(0x4000), peer(somebody)))).toBe(0)
    const second = client.ask(methods.channelBind, channel(0x4001), peer('192.88.0.2:1'))
    expect(codeOf(second)).toBe(508)
  })
})

it.each([methods.send, methods.data, 0x002, 0x00a, 0xfff])(
  'a request of method %i is refused by 400 once it is authenticated',
  (method) => {
    expect(codeOf(testRelay().client().ask(method))).toBe(400)
  },
)

describe('relaying', () => {
  const channelData = (number: number, payload: string, extra = ''): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt16BE(number, 0)
    bytes.writeUInt16BE(payload.length, 2)
    return Buffer.concat([bytes, Buffer.from(payload + extra, 'latin1')])
  }
  const send = (to: string, payload: string): Uint8Array =>
    indication(methods.send, peer(to), written(attributes.data, Buffer.from(payload)))

  it('carries Send up and Data down while there is a permission', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    const allocation = client.allocation()
    if (allocation === undefined) throw new Error('no allocation')
    client.send(send(somebody, 'early'))
    relay.fromPeer(allocation, somebody, 'early')
    expect(relay.sent).toEqual([])
    client.ask(methods.createPermission, peer('192.88.0.1:1'))
    client.received.length = 0
    client.send(send(somebody, 'up'))
    client.send(send(somebody, ''))
    const from = formatEndpoint(relayOfClient(client).local)
    expect(relay.sent).toEqual([
      { way: `${from} > ${somebody}`, payload: 'up', isUnfragmented: false },
      { way: `${from} > ${somebody}`, payload: '', isUnfragmented: false },
    ])
    // Any port of that address may answer, another address may not.
    relay.fromPeer(allocation, '192.88.0.1:9', 'down')
    relay.fromPeer(allocation, '192.88.0.1:9', '')
    relay.fromPeer(allocation, '192.88.0.2:9', 'stranger')
    expect(client.received).toHaveLength(2)
    const [first, second] = client.received.map((bytes) => decodeMessage(bytes))
    expect(first).toMatchObject({ class: 'indication', method: methods.data })
    expect(first && find(first, attributes.xorPeerAddress)).toEqual(endpointOf('192.88.0.1:9'))
    expect(first && Buffer.from(find(first, attributes.data) ?? '').toString()).toBe('down')
    expect(second && find(second, attributes.data)).toHaveLength(0)
    expect(first?.transactionId).not.toEqual(second?.transactionId)
    relay.clock.advance(300)
    client.send(send(somebody, 'late'))
    relay.fromPeer(allocation, '192.88.0.1:9', 'late')
    expect(relay.sent).toHaveLength(2)
    expect(client.received).toHaveLength(2)
  })

  it('carries ChannelData both ways as long as the channel lives, which keeps its permission', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    const allocation = client.allocation()
    if (allocation === undefined) throw new Error('no allocation')
    client.ask(methods.channelBind, channel(0x4000), peer(somebody))
    client.received.length = 0
    relay.clock.advance(599)
    client.send(channelData(0x4000, 'up', 'padding and more'))
    client.send(channelData(0x4000, ''))
    client.send(channelData(0x4001, 'no such channel'))
    client.send(channelData(0x4000, 'too long').subarray(0, 8))
    expect(relay.sent.map(({ payload }) => payload)).toEqual(['up', ''])
    relay.fromPeer(allocation, somebody, 'abc')
    relay.fromPeer(allocation, '192.88.0.1:5001', 'no channel, but the same address')
    expect(Buffer.from(client.received[0] ?? '')).toEqual(channelData(0x4000, 'abc'))
    expect(decodeMessage(client.received[1] ?? new Uint8Array(0)).method).toBe(methods.data)
    relay.clock.advance(1)
    client.send(channelData(0x4000, 'late'))
    relay.fromPeer(allocation, somebody, 'late')
    expect(relay.sent).toHaveLength(2)
    expect(client.received).toHaveLength(2)
    expect(relay.server.counters.drops).toMatchObject({ 'no-channel': 2, malformed: 1 })
  })

  it('pads ChannelData on streams alone', () => {
    for (const transport of ['UDP', 'TCP', 'TLS'] as const) {
      const relay = testRelay()
      const client = allocated(relay.client({ transport }))
      client.ask(methods.channelBind, channel(0x4000), peer(somebody))
      client.received.length = 0
      const allocation = client.allocation()
      if (allocation !== undefined) relay.fromPeer(allocation, somebody, 'abcde')
      const padding = transport === 'UDP' ? '' : '\0\0\0'
      const expected = channelData(0x4000, 'abcde', padding)
      expect(Buffer.from(client.received[0] ?? '')).toEqual(expected)
    }
  })

  it('never reads what a peer sends, whatever it looks like', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    client.ask(methods.createPermission, peer(somebody))
    client.received.length = 0
    const allocation = client.allocation()
    if (allocation === undefined) throw new Error('no allocation')
    const shapes = [channelData(0x4000, 'x'), send(somebody, 'x'), Buffer.from([0, 1])]
    for (const shape of shapes) relay.fromPeer(allocation, somebody, shape)
    const carried = client.received.map((bytes) => find(decodeMessage(bytes), attributes.data))
    expect(carried.map((bytes) => Buffer.from(bytes ?? ''))).toEqual(
      shapes.map((s) => Buffer.from(s)),
    )
    expect(relay.sent).toEqual([])
  })

  it('drops an indication without a peer or payload, or with what it does not know', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    client.ask(methods.createPermission, peer(somebody))
    const payload = written(attributes.data, Buffer.from('x'))
    const strange = () => ({ type: 0x7abc, value: Buffer.alloc(0) })
    for (const given of [[payload], [peer(somebody)], [peer(somebody), payload, strange]]) {
      expect(client.send(indication(methods.send, ...given))).toBeUndefined()
    }
    expect(relay.sent).toEqual([])
    client.send(
      indication(methods.send, peer(somebody), payload, written(attributes.dontFragment, true)),
    )
    expect(relay.sent).toMatchObject([{ isUnfragmented: true }])
  })

  it('carries no more than the limit in each direction, and drops the rest', () => {
    const relay = testRelay({ limits: { bitsPerSecond: 80_000 } })
    const client = allocated(relay.client())
    client.ask(methods.channelBind, channel(0x4000), peer(somebody))
    const allocation = client.allocation()
    if (allocation === undefined) throw new Error('no allocation')
    const second = (): [number, number] => {
      const before = [relay.sent.length, client.received.length] as const
      for (let count = 0; count < 150; count += 1) {
        client.send(channelData(0x4000, 'x'.repeat(100)))
        relay.fromPeer(allocation, somebody, 'x'.repeat(100))
      }
      return [relay.sent.length - before[0], client.received.length - before[1]]
    }
    expect(second()).toEqual([100, 100])
    relay.clock.advance(1)
    expect(second()).toEqual([100, 100])
    expect(relay.server.counters.drops.bandwidth).toBe(200)
  })

  it('between two clients of this relay goes by its own address, to relay ports alone', () => {
    const external = { [relayAddress]: '203.0.113.5' }
    const relay = testRelay({ relay: { external } })
    const [alice, bob] = [allocated(relay.client()), allocated(relay.client())]
    const port = relayOfClient(bob).local.port
    const advertised = `203.0.113.5:${String(port)}`
    expect(codeOf(alice.ask(methods.createPermission, peer(advertised)))).toBe(0)
    alice.send(send(advertised, 'hello'))
    // Towards the local address, for NAT may not carry it back in.
    expect(relay.sent.at(-1)?.way.endsWith(`> ${relayAddress}:${String(port)}`)).toBe(true)
    alice.send(send('203.0.113.5:22', 'no'))
    expect(relay.sent).toHaveLength(1)
    expect(codeOf(alice.ask(methods.channelBind, channel(0x4000), peer('203.0.113.5:22')))).toBe(
      403,
    )
    // What comes from the local address is known by the advertised one.
    const back = formatEndpoint(relayOfClient(alice).local)
    bob.ask(methods.createPermission, peer('203.0.113.5:1'))
    bob.received.length = 0
    const allocation = bob.allocation()
    if (allocation === undefined) throw new Error('no allocation')
    relay.fromPeer(allocation, back, 'hello')
    relay.fromPeer(allocation, `${relayAddress}:53`, 'not a relay')
    expect(bob.received).toHaveLength(1)
    const from = find(
      decodeMessage(bob.received[0] ?? new Uint8Array(0)),
      attributes.xorPeerAddress,
    )
    expect(from && formatEndpoint(from)).toBe(
      `203.0.113.5:${String(relayOfClient(alice).local.port)}`,
    )
    expect(relay.server.counters.drops.policy).toBe(2)
  })

  it('goes by IPv6 as by IPv4', () => {
    const relay = testRelay({}, both)
    const client = relay.client()
    client.ask(methods.allocate, udp, family(2))
    const to = '[2600::1]:5000'
    expect(codeOf(client.ask(methods.channelBind, channel(0x4000), peer(to)))).toBe(0)
    client.send(channelData(0x4000, 'six'))
    expect(relay.sent.at(-1)?.way.endsWith(`> ${to}`)).toBe(true)
    const allocation = client.allocation()
    if (allocation !== undefined) relay.fromPeer(allocation, '[2600::1]:9', 'six')
    const down = decodeMessage(client.received.at(-1) ?? new Uint8Array(0))
    expect(find(down, attributes.xorPeerAddress)).toEqual(endpointOf('[2600::1]:9'))
  })
})

describe('a reload', () => {
  it('takes back permissions and channels that the new lists refuse', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    client.ask(methods.createPermission, peer(somebody), peer('192.88.1.1:1'))
    client.ask(methods.channelBind, channel(0x4000), peer(somebody))
    relay.reload({ peers: { deny: ['192.88.0.0/24'] } })
    const allocation = client.allocation()
    expect(allocation?.permissions.map(({ ip }) => ip)).toEqual([ipOf('192.88.1.1')])
    expect(allocation?.channels).toEqual([])
    expect(codeOf(client.ask(methods.createPermission, peer(somebody)))).toBe(403)
    expect(relay.lines.at(-1)).toMatchObject({
      sentence: 'peer refused',
      fields: { rule: 'peers.deny 192.88.0.0/24', peer: '192.88.0.1' },
    })
  })

  it('takes new secrets and quotas, and keeps what runs', () => {
    const relay = testRelay()
    const client = allocated(relay.client())
    relay.reload({ limits: { allocationsPerUser: 1 } }, { wire: [Buffer.from('new')] })
    expect(codeOf(client.ask(methods.refresh))).toBe(0)
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(401)
    relay.reload({ limits: { allocationsPerUser: 1 } })
    expect(codeOf(relay.client().ask(methods.allocate, udp))).toBe(486)
  })
})

it('ten thousand allocations that come and go leave nothing behind', () => {
  const relay = testRelay({ relay: { ports: { restSeconds: 0 } } })
  const client = relay.client()
  const cycle = (count: number): void => {
    for (let turn = 0; turn < count; turn += 1) {
      client.ask(methods.allocate, udp, even(turn % 2 === 0))
      if (turn % 10 === 0) client.ask(methods.channelBind, channel(0x4000), peer(somebody))
      client.ask(methods.refresh, lifetime(0))
      client.received.length = 0
      relay.lines.length = 0
      if (turn % 100 === 0) {
        relay.clock.advance(1)
        relay.server.tick()
        client.nonce = ''
      }
    }
  }
  cycle(10_000)
  expect(relay.open.size).toBe(0)
  const { state } = relay.server
  expect(state.allocations.size).toBe(0)
  expect([...state.allocations.values()]).toEqual([])
  expect(state.allocations.nextId()).toBe(0)
  expect(Object.keys(state.quotas.changes())).toEqual([])
  for (const key of ['user:wire:alice', 'source:192.0.2.10', 'family:4']) {
    expect(state.quotas.count(key)).toBe(0)
  }
}, 60_000)
