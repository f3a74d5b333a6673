import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { raisedLimits, startRelay, type Relay } from '../support/relay.ts'
import type { ServerChild } from '../support/server-child.ts'
import { hasUclient, runUclient, startEcho } from '../support/uclient.ts'

interface Mode {
  readonly flags: string
  readonly says: string
  /** Which echo answers; clients talk to one another without one. */
  readonly echo?: '127.0.0.1' | '::1'
  readonly via?: '::1'
}

const modes: readonly Mode[] = [
  { flags: '', says: 'channels', echo: '127.0.0.1' },
  { flags: '-c -m 5 -s', says: 'Send indications of five clients', echo: '127.0.0.1' },
  { flags: '-c -y', says: 'channels between two clients' },
  { flags: '-c -y -s -m 4', says: 'Send indications between clients' },
  { flags: '-t', says: 'channels over TCP', echo: '127.0.0.1' },
  { flags: '-t -s -m 4', says: 'Send indications over TCP', echo: '127.0.0.1' },
  { flags: '-c -t -y', says: 'channels between two clients over TCP' },
  { flags: '-t -S', says: 'channels over TLS', echo: '127.0.0.1' },
  { flags: '-c -t -S -y', says: 'channels between two clients over TLS' },
  { flags: '-G', says: 'superfluous permissions and channels', echo: '127.0.0.1' },
  { flags: '-B -s -c', says: 'clients that disconnect after a few packets', echo: '127.0.0.1' },
  { flags: '-D', says: 'channels padded over UDP', echo: '127.0.0.1' },
  { flags: '-g -c', says: 'DONT-FRAGMENT', echo: '127.0.0.1' },
  { flags: '-X', says: 'IPv4 asked for by name', echo: '127.0.0.1' },
  { flags: '-c -x', says: 'IPv6 relayed for a client on IPv4', echo: '::1' },
  { flags: '-c -x -y -s', says: 'IPv6 between two clients on IPv4' },
  { flags: '-c -x', says: 'IPv6 relayed for a client on IPv6', echo: '::1', via: '::1' },
  { flags: '-c -X', says: 'IPv4 relayed for a client on IPv6', echo: '127.0.0.1', via: '::1' },
  { flags: '-c -x -t', says: 'IPv6 relayed for a client on TCP and IPv6', echo: '::1', via: '::1' },
  { flags: '-Z -s', says: 'a client that asks for two families', echo: '127.0.0.1' },
]

describe.skipIf(!hasUclient)('coturn’s test client', { concurrent: true }, () => {
  let relay: Relay
  const echoes = new Map<string, ServerChild & { readonly port: number }>()

  beforeAll(async () => {
    relay = await startRelay({ moreHosts: ['::1'], limits: raisedLimits })
    for (const host of ['127.0.0.1', '::1']) echoes.set(host, await startEcho(host))
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
      await runUclient(argumentsFor({ flags, echo: '127.0.0.1' }), { seconds: 3 })
    }
    const after = await runUclient(argumentsFor({ flags: '-c -s', echo: '127.0.0.1' }))
    expect(after).toMatchObject({ code: 0, sent: 30, received: 30 })
    expect(relay.child.hasEnded()).toBe(false)
  })
})

describe.skipIf(!hasUclient)('coturn’s STUN client', () => {
  it('learns its address, and does not hang when it asks for more than there is (-f)', async () => {
    await using relay = await startRelay()
    const ask = (flags: readonly string[]) =>
      spawnSync('turnutils_stunclient', [...flags, '-p', String(relay.port), relay.host], {
        encoding: 'utf8',
        timeout: 60_000,
      })
    const plain = ask([])
    expect(plain.status, plain.stderr).toBe(0)
    expect(plain.stdout + plain.stderr).toMatch(/reflexive addr: 127\.0\.0\.1:\d+/)
    expect(ask(['-f']).signal).toBeNull()
  })
})
