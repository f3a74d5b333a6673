import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limitRelays } from './relays.ts'

describe('a limited choice of relays', () => {
  const udp = ['turn:a.example:3478', 'turn:b.example:3478?transport=udp']
  const tls = ['turns:a.example:5349?transport=tcp', 'turns:b.example:5349?transport=tcp']
  const tcp = ['turn:a.example:3478?transport=tcp', 'turn:b.example:3478?transport=tcp']

  it('takes one by UDP, one by TLS and one by TCP before it takes a second of any', () => {
    const all = [...tcp, ...tls, ...udp]
    expect(limitRelays(all, 1)).toEqual([udp[0]])
    expect(limitRelays(all, 2)).toEqual([udp[0], tls[0]])
    expect(limitRelays(all, 4)).toEqual([udp[0], tls[0], tcp[0], udp[1]])
  })

  it('makes do with what there is', () => {
    expect(limitRelays(tcp, 10)).toEqual(tcp)
    expect(limitRelays([], 3)).toEqual([])
  })

  it('gives as many as there are up to the limit, each once', () => {
    const uris = fc.subarray([...udp, ...tls, ...tcp])
    fc.assert(
      fc.property(uris, fc.integer({ min: 1, max: 10 }), (given, limit) => {
        const chosen = limitRelays(given, limit)
        expect(chosen).toHaveLength(Math.min(limit, given.length))
        expect(new Set(chosen).size).toBe(chosen.length)
        for (const uri of chosen) expect(given).toContain(uri)
      }),
    )
  })
})
