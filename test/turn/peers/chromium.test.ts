import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  hasChromium,
  startBrowser,
  type Browser,
  type CallResult,
  type IceServer,
} from '../support/calls.ts'
import { startRelay, type Relay } from '../support/relay.ts'

const hasIpv6 = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .some(({ address }) => address === '::1')
/** `npm run test:turn -- --long` */
const isLong = process.env['TURN_LONG'] === '1'

const transports = [
  { name: 'UDP', url: (relay: Relay) => `turn:127.0.0.1:${String(relay.port)}?transport=udp` },
  { name: 'TCP', url: (relay: Relay) => `turn:127.0.0.1:${String(relay.port)}?transport=tcp` },
  { name: 'TLS', url: (relay: Relay) => `turns:127.0.0.1:${String(relay.tlsPort)}?transport=tcp` },
] as const

describe.skipIf(!hasChromium)(
  'calls between two Chromium connections that only the relay joins',
  () => {
    let relay: Relay
    let browser: Browser

    // The relay's own limits: what a call needs must fit in them.
    beforeAll(async () => {
      relay = await startRelay({ hasTls: true, moreHosts: hasIpv6 ? ['::1'] : [] })
      browser = await startBrowser()
    })
    afterAll(async () => {
      await browser[Symbol.asyncDispose]()
      await relay[Symbol.asyncDispose]()
    })

    const side = (urls: string, index: number): IceServer => {
      const { username, password } = relay.credentialsFor(index)
      return { urls, username, credential: password }
    }

    function expectWhole(result: CallResult, protocol: string): void {
      expect(result.candidateTypes).toEqual(['relay'])
      expect(result.relayProtocols).toEqual([protocol.toLowerCase()])
      expect(result.sent).toBeGreaterThan(0)
      expect(result).toMatchObject({ received: result.sent, isInOrder: true, failures: 0 })
      expect(result.audioPacketsReceived).toBeGreaterThan(0)
      expect(result.videoFramesDecoded).toBeGreaterThan(0)
      expect(result.mediaLoss).toBeLessThan(0.01)
    }

    for (const { name, url } of transports) {
      it(`carry data, sound and picture over ${name}`, async () => {
        const iceServers = [side(url(relay), 0), side(url(relay), 1)] as const
        const result = await browser.call({ iceServers, seconds: 15, messagesPerSecond: 50 })
        expectWhole(result, name)
      })
    }

    it.skipIf(!hasIpv6)('carry them for clients that reach the relay over IPv6', async () => {
      const url = `turn:[::1]:${String(relay.port)}?transport=udp`
      const iceServers = [side(url, 0), side(url, 1)] as const
      const result = await browser.call({ iceServers, seconds: 5, messagesPerSecond: 50 })
      expectWhole(result, 'UDP')
    })

    it('carry them between a client on UDP and one on TLS', async () => {
      const [udp, , tls] = transports
      const iceServers = [side(udp.url(relay), 0), side(tls.url(relay), 1)] as const
      const result = await browser.call({ iceServers, seconds: 5, messagesPerSecond: 50 })
      expect(result.relayProtocols.toSorted()).toEqual(['tls', 'udp'])
      expect(result).toMatchObject({ received: result.sent, isInOrder: true, failures: 0 })
    })

    // Permissions last 5 minutes, channels and allocations 10: all of them are renewed on the way.
    it.skipIf(!isLong).for(transports)(
      'go on for twelve minutes over $name',
      { timeout: 900_000 },
      async ({ name, url }) => {
        const iceServers = [side(url(relay), 0), side(url(relay), 1)] as const
        const result = await browser.call({ iceServers, seconds: 720, messagesPerSecond: 20 })
        process.stderr.write(`${name}: ${JSON.stringify(result)}\n`)
        expectWhole(result, name)
      },
    )

    it('leave nothing behind', async () => {
      await expect
        .poll(async () => {
          const metrics = [...(await relay.metrics())]
          const live = metrics.filter(([metric]) => metric.startsWith('turn_total_allocations'))
          return live.reduce((sum, [, value]) => sum + value, 0)
        })
        .toBe(0)
    })
  },
)
