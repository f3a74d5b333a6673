import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { startRelay, type Relay } from './support/relay.ts'
import {
  attributes,
  find,
  isSignedWith,
  lifetime,
  longTermKey,
  methods,
  newTransactionId,
  readMessage,
  requestedTransport,
  restCredentials,
  text,
  writeMessage,
  xorAddress,
} from './support/stun.ts'
import { openTransport } from './support/transports.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

/** Names that every object has, and names of nobody. */
const memberNames = [
  'constructor',
  '__proto__',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '0',
  '',
] as const

describe('the relay asks who comes', () => {
  let relay: Relay

  beforeAll(async () => {
    relay = await startRelay({ limits: { refusalsPerSecond: 1_000_000 } })
  })
  afterAll(() => relay[Symbol.asyncDispose]())

  it('answers an unsigned request 401 with realm and nonce, unsigned and in 96 bytes', async () => {
    await using client = await openClient(relay)
    const answer = await client.greet()
    expect(answer.code).toBe(401)
    expect(find(answer.message, attributes.realm)?.toString()).toBe('dummy.io')
    expect(find(answer.message, attributes.nonce)?.length).toBeLessThanOrEqual(28)
    expect(find(answer.message, attributes.messageIntegrity)).toBeUndefined()
    expect(find(answer.message, attributes.software)).toBeUndefined()
    expect(answer.bytes.length).toBeLessThanOrEqual(96)
  })

  for (const name of memberNames) {
    it(`knows no user named "${name}", whatever the password`, async () => {
      for (const password of ['', 'undefined', 'null', '[object Object]']) {
        await using client = await openClient(relay, { credentials: { username: name, password } })
        await client.greet()
        const answer = await client.ask(methods.allocate, [requestedTransport()])
        expect(answer?.code).toBe(401)
      }
    })

    it(`takes no nonce and no realm named "${name}"`, async () => {
      await using client = await openClient(relay)
      await client.greet()
      const given = [requestedTransport()]
      const { key } = client
      const stale = await client.ask(methods.allocate, given, { nonce: name, key })
      expect(stale?.code).toBe(438)
      const realmKey = longTermKey(relay.credentialsFor(0), name)
      const strange = await client.ask(methods.allocate, given, { realm: name, key: realmKey })
      expect(strange?.code).toBeOneOf([400, 401])
    })
  }

  it('says 400 when a part of the credentials is missing', async () => {
    await using client = await openClient(relay)
    await client.greet()
    for (const part of ['username', 'realm', 'nonce'] as const) {
      const answer = await client.ask(methods.allocate, [requestedTransport()], { without: [part] })
      expect(answer?.code, part).toBe(400)
    }
  })

  it('says 401 to a wrong password and to credentials whose time is over', async () => {
    const { username } = relay.credentialsFor(1)
    const expired = restCredentials(relay.secret, 'late', -1)
    for (const credentials of [{ username, password: 'wrong' }, expired]) {
      await using client = await openClient(relay, { credentials })
      await client.greet()
      const answer = await client.ask(methods.allocate, [requestedTransport()])
      expect(answer?.code).toBe(401)
    }
  })

  it('takes a nonce only from the address and port that it was given to', async () => {
    await using first = await openClient(relay)
    await first.greet()
    await using second = await openClient(relay)
    await second.greet()
    const { key } = second
    const answer = await second.ask(methods.allocate, [requestedTransport()], {
      nonce: first.nonce,
      key,
    })
    expect(answer?.code).toBe(438)
    expect(answer && find(answer.message, attributes.nonce)).toBeDefined()
  })

  it('tells strangers nothing about allocations: 401 and 438 come before 437', async () => {
    await using client = await openClient(relay)
    for (const method of [methods.refresh, methods.createPermission, methods.channelBind]) {
      const answer = await client.ask(method, [], { without: ['integrity'] })
      expect(answer?.code).toBe(401)
    }
    const answer = await client.ask(methods.refresh)
    expect(answer?.code).toBe(437)
    expect(answer?.isSigned).toBe(true)
  })

  it('lets nobody else touch an allocation: 441 to another user on the same port', async () => {
    await using client = await openClient(relay)
    await client.allocate()
    const other = relay.credentialsFor(2)
    const key = longTermKey(other, client.realm)
    const answer = await client.ask(methods.refresh, [lifetime(0)], {
      username: other.username,
      key,
    })
    expect(answer?.code).toBe(441)
    expect(answer && isSignedWith(answer.bytes, key)).toBe(true)
    expect((await client.refresh()).code).toBeUndefined()
  })

  it('believes no attribute behind the integrity', async () => {
    await using client = await openClient(relay)
    await client.allocate()
    const transactionId = newTransactionId()
    const peer = xorAddress(
      attributes.xorPeerAddress,
      { host: '127.0.0.2', port: 9 },
      transactionId,
    )
    const permission = await client.ask(methods.createPermission, [], {
      transactionId,
      writing: { trailing: [peer] },
    })
    expect(permission?.code).toBe(400)
    const refresh = await client.ask(methods.refresh, [], { writing: { trailing: [lifetime(0)] } })
    expect(refresh && find(refresh.message, attributes.lifetime)?.readUInt32BE()).toBe(600)
    expect((await client.refresh()).code).toBeUndefined()
  })

  it('drops a request with a wrong fingerprint and answers a right one with a fingerprint', async () => {
    await using client = await openClient(relay)
    const good = writeMessage(
      {
        class: 'request',
        method: methods.binding,
        transactionId: newTransactionId(),
        attributes: [],
      },
      { hasFingerprint: true },
    )
    const answer = await client.askBytes(good)
    expect(answer && find(answer.message, attributes.fingerprint)).toBeDefined()
    const bad = Buffer.from(good)
    bad.writeUInt8(bad.readUInt8(bad.length - 1) ^ 1, bad.length - 1)
    expect(await client.askBytes(bad, 400)).toBeUndefined()
  })

  it('keeps relaying under a flood of forged requests, and answers few of them', async () => {
    await using limited = await startRelay()
    await using client = await openClient(limited)
    await using peer = await openPeer('127.0.0.2', { isEcho: true })
    await client.allocate()
    await client.bind(0x4000, peer.address)
    await using rude = await openTransport('udp', limited)
    let answers = 0
    rude.onMessage(() => {
      answers += 1
    })
    const forged = Array.from({ length: 100 }, (_, each) =>
      writeMessage(
        {
          class: 'request',
          method: methods.allocate,
          transactionId: newTransactionId(),
          attributes: [
            requestedTransport(),
            text(attributes.username, `4102444800:${String(each)}`),
            text(attributes.realm, 'dummy.io'),
            text(attributes.nonce, 'obMatJos2AAAA'),
          ],
        },
        { key: createHash('md5').update(String(each)).digest() },
      ),
    )
    for (let round = 0; round < 50; round += 1) {
      for (const bytes of forged) rude.send(bytes)
      client.sendThrough(0x4000, Buffer.from(`round ${String(round)}`))
      expect((await client.next(5000))?.payload.toString()).toBe(`round ${String(round)}`)
    }
    expect(answers).toBeGreaterThan(0)
    expect(answers).toBeLessThan(500)
    expect(limited.child.hasEnded()).toBe(false)
  })

  it('gives no answer to what it cannot read', async () => {
    await using transport = await openTransport('udp', relay)
    const answers: Buffer[] = []
    transport.onMessage((bytes) => answers.push(bytes))
    const whole = writeMessage({
      class: 'request',
      method: methods.binding,
      transactionId: newTransactionId(),
      attributes: [],
    })
    const wrongCookie = Buffer.from(whole)
    wrongCookie.writeUInt32BE(0x2112a443, 4)
    const wrongLength = Buffer.from(whole)
    wrongLength.writeUInt16BE(4, 2)
    const overlong = Buffer.concat([whole, Buffer.from([0x80, 0x22, 0xff, 0xff])])
    overlong.writeUInt16BE(4, 2)
    for (const bytes of [wrongCookie, wrongLength, overlong, whole.subarray(0, 19)]) {
      transport.send(bytes)
    }
    transport.send(whole)
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(1)
    expect(readMessage(answers[0] ?? Buffer.alloc(0))?.transactionId).toEqual(whole.subarray(8, 20))
  })
})
