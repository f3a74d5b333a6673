import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openClient, type TurnClient } from './support/client.ts'
import { openPeer } from './support/peer.ts'
import { raisedLimits, startRelay, type Relay } from './support/relay.ts'
import {
  attributes,
  channelData,
  evenPort,
  find,
  methods,
  newTransactionId,
  readXorAddress,
  requestedTransport,
  uint32,
  writeMessage,
} from './support/stun.ts'
import { openTransport } from './support/transports.ts'

// Each starts processes of its own; on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 })

const peerHost = '127.0.0.2'

for (const io of ['mmsg', 'dgram'] as const) {
  describe(`the relay hands packets on, with ${io}`, () => {
    let relay: Relay

    beforeAll(async () => {
      relay = await startRelay({ limits: raisedLimits, io })
    })
    afterAll(() => relay[Symbol.asyncDispose]())

    /** That an allocation carries a packet each way. */
    async function expectCarries(client: TurnClient): Promise<void> {
      await using peer = await openPeer(peerHost, { isEcho: true })
      await client.permit(peerHost)
      client.sendTo(peer.address, Buffer.from('still here'))
      expect((await client.next())?.payload.toString()).toBe('still here')
    }

    it('shrugs at datagrams of 0 to 3 bytes, at the listener and at a relay port', async () => {
      await using client = await openClient(relay)
      await using peer = await openPeer(peerHost)
      const relayed = await client.allocate()
      await client.permit(peerHost)
      await using stranger = await openTransport('udp', relay)
      for (let length = 0; length < 4; length += 1) {
        const bytes = Buffer.alloc(length, 0x40)
        stranger.send(bytes)
        client.send(bytes)
        peer.send(bytes, relayed)
        const got = await client.next()
        expect(got?.payload).toEqual(bytes)
      }
      await expectCarries(client)
    })

    it('never reads what peers send: STUN and ChannelData pass as they are', async () => {
      await using client = await openClient(relay)
      await using peer = await openPeer(peerHost)
      await using unbound = await openPeer(peerHost)
      const relayed = await client.allocate()
      await client.permit(peerHost)
      await client.bind(0x4000, peer.address)
      const shapes = [
        writeMessage({
          class: 'request',
          method: methods.refresh,
          transactionId: newTransactionId(),
          attributes: [uint32(attributes.lifetime, 0)],
        }),
        writeMessage(
          {
            class: 'request',
            method: methods.binding,
            transactionId: newTransactionId(),
            attributes: [],
          },
          { hasFingerprint: true },
        ),
        channelData(0x4000, Buffer.from('nested')),
        channelData(0x4001, Buffer.alloc(0)),
        Buffer.alloc(0),
        Buffer.alloc(1400, 0xff),
      ]
      for (const shape of shapes) {
        peer.send(shape, relayed)
        const through = await client.next()
        expect(through).toMatchObject({ via: 'channel', channel: 0x4000 })
        expect(through?.payload).toEqual(shape)
        unbound.send(shape, relayed)
        const indicated = await client.next()
        expect(indicated).toMatchObject({ via: 'indication', peer: unbound.address })
        expect(indicated?.payload).toEqual(shape)
      }
      expect((await client.refresh()).code).toBeUndefined()
    })

    it('relays what ChannelData says it holds: padding is cut, too little is dropped', async () => {
      await using client = await openClient(relay)
      await using peer = await openPeer(peerHost)
      await client.allocate()
      await client.bind(0x4000, peer.address)
      const short = channelData(0x4000, Buffer.from('short'))
      short.writeUInt16BE(6, 2)
      client.send(short)
      client.send(channelData(0x4001, Buffer.from('no such channel')))
      client.send(channelData(0x4fff, Buffer.from('no such channel')))
      client.send(channelData(0x4000, Buffer.from('padded'), true))
      client.send(channelData(0x4000, Buffer.alloc(0)))
      expect((await peer.next())?.payload.toString()).toBe('padded')
      expect((await peer.next())?.payload.length).toBe(0)
      expect(peer.received).toEqual([])
    })

    it('sends to nobody without a permission, and takes from nobody without one', async () => {
      await using client = await openClient(relay)
      await using peer = await openPeer(peerHost)
      await using other = await openPeer('127.0.0.3')
      const relayed = await client.allocate()
      client.sendTo(peer.address, Buffer.from('too early'))
      peer.send(Buffer.from('too early'), relayed)
      expect(await client.next(300)).toBeUndefined()
      await client.permit(peerHost)
      other.send(Buffer.from('stranger'), relayed)
      client.sendTo(other.address, Buffer.from('stranger'))
      peer.send(Buffer.from('permitted'), relayed)
      expect((await client.next())?.payload.toString()).toBe('permitted')
      client.sendTo(peer.address, Buffer.from('permitted'))
      expect((await peer.next())?.payload.toString()).toBe('permitted')
      expect(other.received).toEqual([])
      expect(client.received).toEqual([])
    })

    it('keeps the order of packets in both directions', async () => {
      await using client = await openClient(relay)
      await using peer = await openPeer(peerHost)
      const relayed = await client.allocate()
      await client.bind(0x4000, peer.address)
      const count = 400
      for (let index = 0; index < count; index += 1) {
        const bytes = Buffer.from(String(index))
        client.sendThrough(0x4000, bytes)
        peer.send(bytes, relayed)
        if (index % 50 === 49) await sleep(5)
      }
      for (let index = 0; index < count; index += 1) {
        expect((await peer.next())?.payload.toString()).toBe(String(index))
        expect((await client.next())?.payload.toString()).toBe(String(index))
      }
    })

    it('repeats the success of a repeated Allocate and refuses a second one with 437', async () => {
      await using client = await openClient(relay)
      await client.greet()
      const transactionId = newTransactionId()
      const given = [requestedTransport()]
      const first = await client.ask(methods.allocate, given, { transactionId })
      const again = await client.ask(methods.allocate, given, { transactionId })
      const relayed = first && readXorAddress(first.message, attributes.xorRelayedAddress)
      expect(relayed).toBeDefined()
      expect(again && readXorAddress(again.message, attributes.xorRelayedAddress)).toEqual(relayed)
      expect((await client.ask(methods.allocate, given))?.code).toBe(437)
      await expectCarries(client)
    })

    it('holds the next port for the client with the token, and for nobody without', async () => {
      await using first = await openClient(relay)
      await first.greet()
      const even = await first.ask(methods.allocate, [requestedTransport(), evenPort(true)])
      const relayed = even && readXorAddress(even.message, attributes.xorRelayedAddress)
      const token = even && find(even.message, attributes.reservationToken)
      expect(relayed?.port).toSatisfy((port: number) => port % 2 === 0)
      expect(token?.length).toBe(8)
      const reservation = { type: attributes.reservationToken, value: token ?? Buffer.alloc(8) }
      await using second = await openClient(relay)
      expect((await second.allocate([reservation])).port).toBe((relayed?.port ?? 0) + 1)
      await using third = await openClient(relay)
      await expect(third.allocate([reservation])).rejects.toThrow('508')
      const forged = { type: attributes.reservationToken, value: Buffer.alloc(8, 7) }
      await expect(third.allocate([forged])).rejects.toThrow('508')
    })

    it('serves TCP beside UDP, padding ChannelData and surviving any cut of the stream', async () => {
      await using client = await openClient(relay, { kind: 'tcp' })
      await using peer = await openPeer(peerHost, { isEcho: true })
      await client.allocate()
      await client.bind(0x4000, peer.address)
      const frames = Buffer.concat(
        ['a', 'bc', 'def', 'ghij', 'klmno'].map((each) =>
          channelData(0x4000, Buffer.from(each), true),
        ),
      )
      for (const byte of frames) {
        client.send(Buffer.from([byte]))
        await sleep(1)
      }
      client.send(frames)
      let echoed = ''
      for (let index = 0; index < 10; index += 1) {
        const got = await client.next()
        expect((got?.bytes.length ?? 1) % 4).toBe(0)
        echoed += got?.payload.toString() ?? ''
      }
      expect(echoed).toBe('abcdefghijklmnoabcdefghijklmno')
    })
  })
}
