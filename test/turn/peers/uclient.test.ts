import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClient } from '../support/client.ts'
import { raisedLimits, startRelay, type Relay } from '../support/relay.ts'
import type { ServerChild } from '../support/server-child.ts'
import { attributes, find, methods, uint32, type Attribute } from '../support/stun.ts'
import { hasUclient, runUclient, startEcho } from '../support/uclient.ts'

interface Mode {
  readonly flags: string
  readonly says: string
  /** Which echo answers; clients talk to one another without one. */
  readonly echo?: '127.0.0.2' | '::1'
  readonly via?: '::1'
}

const modes: readonly Mode[] = [
  { flags: '', says: 'channels', echo: '127.0.0.2' },
  { flags: '-c -m 5 -s', says: 'Send indications of five clients', echo: '127.0.0.2' },
  { flags: '-c -y', says: 'channels between two clients' },
  { flags: '-c -y -s -m 4', says: 'Send indications between clients' },
  { flags: '-t', says: 'channels over TCP', echo: '127.0.0.2' },
  { flags: '-t -s -m 4', says: 'Send indications over TCP', echo: '127.0.0.2' },
  { flags: '-c -t -y', says: 'channels between two clients over TCP' },
  { flags: '-t -S', says: 'channels over TLS', echo: '127.0.0.2' },
  { flags: '-c -t -S -y', says: 'channels between two clients over TLS' },
  { flags: '-G', says: 'superfluous permissions and channels', echo: '127.0.0.2' },
  { flags: '-B -s -c', says: 'clients that disconnect after a few packets', echo: '127.0.0.2' },
  { flags: '-D', says: 'channels padded over UDP', echo: '127.0.0.2' },
  { flags: '-g -c', says: 'DONT-FRAGMENT', echo: '127.0.0.2' },
  { flags: '-X', says: 'IPv4 asked for by name', echo: '127.0.0.2' },
  { flags: '-c -x', says: 'IPv6 relayed for a client on IPv4', echo: '::1' },
  { flags: '-c -x -y -s', says: 'IPv6 between two clients on IPv4' },
  { flags: '-c -x', says: 'IPv6 relayed for a client on IPv6', echo: '::1', via: '::1' },
  { flags: '-c -X', says: 'IPv4 relayed for a client on IPv6', echo: '127.0.0.2', via: '::1' },
  { flags: '-c -x -t', says: 'IPv6 relayed for a client on TCP and IPv6', echo: '::1', via: '::1' },
  { flags: '-Z -s', says: 'a client that asks for two families', echo: '127.0.0.2' },
]

describe.skipIf(!hasUclient)('coturn’s test client', { concurrent: true }, () => {
  let relay: Relay
  const echoes = new Map<string, ServerChild & { readonly port: number }>()

  beforeAll(async () => {
    relay = await startRelay({ moreHosts: ['::1'], hasTls: true, limits: raisedLimits })
    echoes.set('127.0.0.2', await startEcho('127.0.0.2'))
    // The relay's own address is a peer at the ports of relays alone.
    echoes.set('::1', await startEcho('::1', 31_000 + randomInt(1000)))
  })
  afterAll(async () => {
    for (const echo of echoes.values()) await echo[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
  })

  function argumentsFor({ flags, echo, via }: Omit<Mode, 'says'>): string[] {
    const given = flags.split(' ').filter((flag) => flag !== '')
    const port = given.includes('-S') ? relay.tlsPort : relay.port
    const peer = echoes.get(echo ?? '')
    return [
      ...given,
      ...'-n 30 -l 171 -u tester'.split(' '),
      '-W',
      relay.secret,
      '-p',
      String(port),
      ...(echo === undefined || peer === undefined ? [] : ['-e', echo, '-r', String(peer.port)]),
      via ?? relay.host,
    ]
  }

  for (const mode of modes) {
    it(
      `receives all it sends: ${mode.says} (${mode.flags || 'no flag'})`,
      { timeout: 120_000 },
      async () => {
        const result = await runUclient(argumentsFor(mode))
        expect(result, result.output).toMatchObject({ code: 0 })
        expect(result.sent).toBeGreaterThan(0)
        expect(result.received).toBe(result.sent)
      },
    )
  }

  for (const flags of ['-T', '-P']) {
    it(`is refused TCP relays with 442 and ends (${flags})`, async () => {
      const result = await runUclient(argumentsFor({ flags }), { seconds: 20 })
      expect(result.output).toContain('error 442')
      expect(result.code).not.toBe(0)
      expect(result.code).not.toBeNull()
    })
  }

  it('leaves the relay in working order after its broken messages (-R) and its attack (-O)', async () => {
    for (const flags of ['-R -s', '-R -s', '-R', '-N', '-O -m 20']) {
      // What it breaks is random; it waits for ever for answers that must not come.
      await runUclient(argumentsFor({ flags, echo: '127.0.0.2' }), { seconds: 3 })
    }
    const after = await runUclient(argumentsFor({ flags: '-c -s', echo: '127.0.0.2' }))
    expect(after).toMatchObject({ code: 0, sent: 30, received: 30 })
    expect(relay.child.hasEnded()).toBe(false)
  })
})

describe.skipIf(!hasUclient)('coturn’s STUN client', () => {
  it('learns its address', async () => {
    await using relay = await startRelay()
    const args = ['-p', String(relay.port), relay.host]
    const ran = spawnSync('turnutils_stunclient', args, { encoding: 'utf8', timeout: 20_000 })
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout + ran.stderr).toMatch(/reflexive addr: 127\.0\.0\.1:\d+/)
  })

  it('gets a whole answer when it asks for NAT discovery, which the relay does not offer (-f)', async () => {
    // Debian's then waits for ever on another port of its own, whatever a server without RFC 5780
    // says, coturn with --no-rfc5780 too: the first half of its talk is all there is to see.
    await using relay = await startRelay()
    const args = ['-f', '-p', String(relay.port), relay.host]
    const ran = spawnSync('turnutils_stunclient', args, { encoding: 'utf8', timeout: 2000 })
    expect(ran.stdout + ran.stderr).toMatch(/reflexive addr: 127\.0\.0\.1:\d+/)
    const natDiscovery: Attribute[] = [uint32(0x0027, 4711 * 2 ** 16), uint32(0x0003, 6)]
    await using client = await openClient(relay)
    const answer = await client.ask(methods.binding, natDiscovery)
    expect(answer?.code).toBe(420)
    expect(answer && find(answer.message, attributes.unknownAttributes)?.toString('hex')).toBe(
      '00270003',
    )
  })
})
