import { describe, expect, it } from 'vitest'
import { longTermKey, restPassword, wirePassword } from '../credentials.ts'
import {
  codeOf,
  testRelay,
  testSecret,
  udp,
  unsigned,
  type TestClient,
  type TestRelay,
} from '../testing/test-relay.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written } from '../wire/attributes.ts'
import { decodeMessage, methods } from '../wire/message.ts'
import { hasIntegrity, sealMessage } from '../wire/protection.ts'

function challenged(relay: TestRelay, client: TestClient): void {
  const reply = client.send(unsigned(methods.allocate, udp))
  client.nonce = (reply && find(reply, attributes.nonce)) ?? ''
  expect(codeOf(reply)).toBe(401)
  expect(relay.server.state.allocations.size).toBe(0)
}

describe('authentication', () => {
  it.each([methods.allocate, methods.refresh, methods.createPermission, methods.channelBind, 0x3f])(
    'answers method %i without integrity by 401 with realm and nonce, in at most 96 bytes',
    (method) => {
      const relay = testRelay()
      const client = relay.client()
      const reply = client.send(unsigned(method))
      expect(codeOf(reply)).toBe(401)
      expect(reply && find(reply, attributes.realm)).toBe('dummy.io')
      expect((reply && find(reply, attributes.nonce))?.length).toBeLessThanOrEqual(28)
      expect(reply?.integrityAt).toBeUndefined()
      expect(reply?.bytes.length).toBeLessThanOrEqual(96)
      expect(reply?.bytes.length).toBeLessThanOrEqual(96)
    },
  )

  it('answers by 400 when user name, realm or nonce is missing', () => {
    const relay = testRelay()
    const client = relay.client()
    challenged(relay, client)
    const all = [
      written(attributes.username, client.username),
      written(attributes.realm, 'dummy.io'),
      written(attributes.nonce, client.nonce),
    ]
    for (let missing = 0; missing < all.length; missing += 1) {
      const transactionId = Buffer.alloc(12, missing)
      const reply = client.send(
        sealMessage(
          {
            class: 'request',
            method: methods.allocate,
            transactionId,
            attributes: all.filter((_, at) => at !== missing).map((write) => write(transactionId)),
          },
          { key: Buffer.alloc(16) },
        ),
      )
      expect(codeOf(reply)).toBe(400)
      expect(reply?.integrityAt).toBeUndefined()
    }
  })

  it('answers by 438 with a new nonce when it is not ours, of another address, or old', () => {
    const relay = testRelay()
    const client = relay.client()
    challenged(relay, client)
    const other = relay.client()
    challenged(relay, other)
    for (const nonce of [
      '',
      'constructor',
      '__proto__',
      other.nonce,
      `${client.nonce}a`,
      '*'.repeat(22),
    ]) {
      const reply = client.send(client.signed(methods.allocate, [udp], { nonce }))
      expect(codeOf(reply)).toBe(438)
      expect(reply && find(reply, attributes.nonce)).toBe(client.nonce)
      expect(reply?.integrityAt).toBeUndefined()
    }
    relay.clock.advance(600)
    expect(codeOf(client.send(client.signed(methods.binding, [udp])))).toBe(0)
    const again = relay.client({ port: client.path.client.port })
    again.nonce = client.nonce
    expect(codeOf(again.ask(methods.allocate, udp))).toBe(0)
    relay.clock.advance(1)
    expect(codeOf(again.ask(methods.refresh))).toBe(438)
  })

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'alice'])(
    'knows no user %j',
    (user) => {
      const relay = testRelay({}, { secrets: { static: [{ username: 'bob', password: 'x' }] } })
      for (const password of ['', 'undefined', '[object Object]']) {
        const client = relay.client({ user, password })
        challenged(relay, client)
        expect(codeOf(client.ask(methods.allocate, udp))).toBe(401)
      }
    },
  )

  it('knows no user whose time is over', () => {
    const relay = testRelay()
    const now = relay.clock.unixSeconds()
    const client = (expires: number): TestClient =>
      relay.client({ user: `d=${String(expires)}.v=1.k=0.t=s.r=alice` })
    expect(codeOf(client(now).ask(methods.allocate, udp))).toBe(401)
    expect(codeOf(client(now + 1).ask(methods.allocate, udp))).toBe(0)
  })

  it('refuses a wrong password by 401, and reads nothing else of the message', () => {
    const relay = testRelay()
    const client = relay.client({ password: 'wrong' })
    expect(codeOf(client.ask(methods.allocate))).toBe(401)
    expect(codeOf(client.ask(methods.refresh))).toBe(401)
  })

  it('accepts each of several secrets, and names of other software', () => {
    const second = Buffer.from('second')
    const relay = testRelay({}, { secrets: { wire: [testSecret, second], rest: [second] } })
    const user = `d=${String(relay.clock.unixSeconds() + 60)}.v=1.k=1.t=s.r=carol`
    const carol = relay.client({ user, password: wirePassword(second, user) })
    expect(codeOf(carol.ask(methods.allocate, udp))).toBe(0)
    const rest = `${String(relay.clock.unixSeconds() + 60)}:dave`
    const dave = relay.client({ user: rest, password: restPassword(second, rest) })
    expect(codeOf(dave.ask(methods.allocate, udp))).toBe(0)
  })

  it('refuses the user of another allocation by 441, which is protected', () => {
    const relay = testRelay()
    const alice = relay.client()
    expect(codeOf(alice.ask(methods.allocate, udp))).toBe(0)
    const name = alice.username.replace('alice', 'mallory')
    const mallory = relay.client({ user: name, port: alice.path.client.port })
    mallory.nonce = alice.nonce
    for (const method of [methods.allocate, methods.refresh, methods.createPermission]) {
      const reply = mallory.ask(method)
      expect(codeOf(reply)).toBe(441)
      const key = longTermKey(name, 'dummy.io', wirePassword(testSecret, name))
      expect(hasIntegrity(reply, key)).toBe(true)
    }
  })

  it('lets a running allocation outlive its credential, unless that is forbidden', () => {
    for (const strictExpiry of [false, true]) {
      const relay = testRelay({
        credentials: { wire: { secretFiles: ['-'] }, strictExpiry },
      })
      const user = `d=${String(relay.clock.unixSeconds() + 60)}.v=1.k=0.t=s.r=alice`
      const client = relay.client({ user })
      expect(codeOf(client.ask(methods.allocate, udp))).toBe(0)
      relay.clock.advance(61)
      expect(codeOf(client.ask(methods.refresh))).toBe(strictExpiry ? 401 : 0)
    }
  })

  it('protects each reply to a request that it accepted, errors too, and repeats the fingerprint', () => {
    const relay = testRelay()
    const client = relay.client()
    const key = longTermKey(client.username, 'dummy.io', wirePassword(testSecret, client.username))
    const reply = client.ask(methods.refresh)
    expect(codeOf(reply)).toBe(437)
    expect(hasIntegrity(reply, key)).toBe(true)
    expect(reply.fingerprintAt).toBeUndefined()
    const printed = client.send(
      sealMessage(
        {
          class: 'request',
          method: methods.binding,
          transactionId: Buffer.alloc(12),
          attributes: [],
        },
        { hasFingerprint: true },
      ),
    )
    expect(printed?.fingerprintAt).toBeDefined()
  })

  it('stops answering an address after ten refusals in a second, and goes on in the next', () => {
    const relay = testRelay()
    const client = relay.client()
    const ask = (): number | undefined => codeOf(client.send(unsigned(methods.allocate, udp)))
    for (let count = 0; count < 10; count += 1) expect(ask()).toBe(401)
    expect(ask()).toBeUndefined()
    // The port does not matter, another address does.
    expect(relay.client().send(unsigned(methods.allocate))).toBeUndefined()
    expect(codeOf(relay.client({ address: '192.0.2.11' }).send(unsigned(methods.allocate)))).toBe(
      401,
    )
    relay.clock.advance(1)
    expect(ask()).toBe(401)
    expect(relay.server.counters.drops['refusal-limit']).toBe(2)
  })

  it('stops answering strangers altogether when there are too many of them in a second', () => {
    const relay = testRelay({ limits: { refusalsPerSecondInAll: 3 } })
    const ask = (last: number): number | undefined =>
      codeOf(relay.client({ address: `192.0.2.${String(last)}` }).send(unsigned(methods.allocate)))
    expect([1, 2, 3, 4, 5].map(ask)).toEqual([401, 401, 401, undefined, undefined])
    relay.clock.advance(1)
    expect(ask(4)).toBe(401)
  })

  it('spreads the answers to strangers over the second, so that they hold up no calls', () => {
    const relay = testRelay({ limits: { refusalsPerSecondInAll: 5000 } })
    let asked = 0
    const answered = (): number => {
      let count = 0
      for (let tries = 0; tries < 1000; tries += 1) {
        asked += 1
        const address = `10.0.${String(asked >> 8)}.${String(asked & 255)}`
        if (relay.client({ address }).send(unsigned(methods.allocate)) !== undefined) count += 1
      }
      return count
    }
    expect(answered()).toBe(500)
    expect(answered()).toBe(0)
    relay.clock.advance(0.05)
    expect(answered()).toBe(250)
    relay.clock.advance(10)
    expect(answered()).toBe(500)
  })

  it('counts a /64 of IPv6 as one address, and never limits streams or who is exempt', () => {
    const relay = testRelay({ limits: { refusalsPerSecond: 1, refusalsUnlimited: ['192.0.2.99'] } })
    const ask = (address: string, transport: 'UDP' | 'TCP' = 'UDP'): number | undefined =>
      codeOf(relay.client({ address, transport }).send(unsigned(methods.allocate)))
    expect(ask('2001:db8:1::1')).toBe(401)
    expect(ask('2001:db8:1::2')).toBeUndefined()
    expect(ask('2001:db8:1:1::2')).toBe(401)
    for (let count = 0; count < 3; count += 1) {
      expect(ask('192.0.2.50', 'TCP')).toBe(401)
      expect(ask('192.0.2.99')).toBe(401)
    }
  })

  it('does not look at what an address sends after many wrong passwords, until the next second', () => {
    const relay = testRelay({ limits: { refusalsPerSecond: 50 } })
    const client = relay.client()
    challenged(relay, client)
    const guess = client.signed(methods.allocate, [udp], { key: Buffer.alloc(16) })
    for (let count = 0; count < 50; count += 1) client.send(guess)
    expect(client.send(client.signed(methods.allocate, [udp]))).toBeUndefined()
    relay.clock.advance(1)
    expect(codeOf(client.send(client.signed(methods.allocate, [udp])))).toBe(0)
  })

  it('refuses the tunnel between sites by 403', () => {
    const relay = testRelay()
    const user = `sft-d=${String(relay.clock.unixSeconds() + 60)}.v=1.k=0.t=s.r=x`
    expect(codeOf(relay.client({ user }).ask(methods.allocate, udp))).toBe(403)
  })
})

describe('a Binding', () => {
  it('is answered to anybody with the address it came from and nothing else', () => {
    const client = testRelay().client()
    const reply = client.send(unsigned(methods.binding))
    expect(reply && find(reply, attributes.xorMappedAddress)).toEqual(client.path.client)
    expect(reply?.attributes).toHaveLength(1)
  })

  it('needs credentials where that is configured', () => {
    const relay = testRelay({ secureStun: true })
    const client = relay.client()
    expect(codeOf(client.send(unsigned(methods.binding)))).toBe(401)
    expect(codeOf(client.ask(methods.binding))).toBe(0)
  })

  it('with an attribute that must be known and is not gets 420 that names it once', () => {
    const unknown = () => ({ type: 0x0024, value: Buffer.alloc(4) })
    const optional = () => ({ type: 0x8029, value: Buffer.alloc(4) })
    const reply = testRelay()
      .client()
      .send(unsigned(methods.binding, unknown, unknown, optional))
    expect(codeOf(reply)).toBe(420)
    expect(reply && find(reply, attributes.unknownAttributes)).toEqual([0x0024])
  })
})

describe('with SHA-256 offered', () => {
  const offered = written(attributes.passwordAlgorithms, [2, 1])

  it('a challenge names the algorithms and marks the nonce', () => {
    const reply = testRelay({ sha256: true }).client().send(unsigned(methods.allocate))
    expect(reply && find(reply, attributes.passwordAlgorithms)).toEqual([2, 1])
    const nonce = (reply && find(reply, attributes.nonce)) ?? ''
    expect(nonce).toMatch(/^obMatJos2/)
    expect(nonce.length).toBeLessThanOrEqual(28)
    expect(reply?.bytes.length).toBeLessThanOrEqual(96)
  })

  it('a client may choose it or keep to MD5, but not be talked out of it', async () => {
    const { longTermKeySha256 } = await import('../credentials.ts')
    const relay = testRelay({ sha256: true })
    const client = relay.client()
    expect(codeOf(client.ask(methods.allocate, udp))).toBe(0)
    const modern = relay.client()
    challenged2(modern)
    const password = wirePassword(testSecret, modern.username)
    const key = longTermKeySha256(modern.username, 'dummy.io', password)
    const chosen = written(attributes.passwordAlgorithm, 2)
    const sign = (given: Parameters<TestClient['signed']>[1]): Uint8Array => {
      const transactionId = Buffer.alloc(12, 3)
      const all = [
        ...given,
        written(attributes.username, modern.username),
        written(attributes.realm, 'dummy.io'),
        written(attributes.nonce, modern.nonce),
      ]
      return sealMessage(
        {
          class: 'request',
          method: methods.allocate,
          transactionId,
          attributes: all.map((write) => write(transactionId)),
        },
        { key, hash: 'sha256' },
      )
    }
    expect(codeOf(modern.send(sign([udp, chosen])))).toBe(400)
    expect(
      codeOf(modern.send(sign([udp, chosen, written(attributes.passwordAlgorithms, [1])]))),
    ).toBe(400)
    const reply = modern.send(sign([udp, chosen, offered]))
    expect(codeOf(reply)).toBe(0)
    expect(reply && hasIntegrity(reply, key, 'sha256')).toBe(true)

    function challenged2(client: TestClient): void {
      const reply = client.send(unsigned(methods.allocate))
      client.nonce = (reply && find(reply, attributes.nonce)) ?? ''
    }
  })
})

it('what is no request and no Send indication gets no reply', () => {
  const relay = testRelay()
  const client = relay.client()
  for (const messageClass of ['success', 'error', 'indication'] as const) {
    for (const method of [methods.binding, methods.allocate, methods.data, 0x3f]) {
      const bytes = sealMessage(
        { class: messageClass, method, transactionId: Buffer.alloc(12), attributes: [] },
        {},
      )
      expect(client.send(bytes)).toBeUndefined()
    }
  }
  for (const bytes of ['', '00', '0001', '000100', '5000', '400000', 'ff'.repeat(30)]) {
    expect(client.send(Buffer.from(bytes, 'hex'))).toBeUndefined()
  }
  const wrongPrint = sealMessage(
    { class: 'request', method: methods.binding, transactionId: Buffer.alloc(12), attributes: [] },
    { hasFingerprint: true },
  )
  wrongPrint[wrongPrint.length - 1] = (wrongPrint.at(-1) ?? 0) ^ 1
  expect(client.send(wrongPrint)).toBeUndefined()
  expect(decodeMessage(wrongPrint).method).toBe(methods.binding)
  expect(relay.server.counters.drops.defect).toBe(0)
})
