import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { limitRelays, turnCredential } from './turn-credential.ts'

const user = '2e8a2b1c-94e7-4c6a-9f1d-0a3a2f6f7c11' as UserId
const secret = Buffer.from('shared')

describe('a credential for the relays', () => {
  it('names its end and a letter code of the user, signed with the shared secret', () => {
    const { username, credential } = turnCredential(user, secret, 1_767_247_200)
    expect(username).toMatch(/^d=1767247200\.v=1\.k=0\.t=s\.r=[a-z]{1,28}$/)
    const expected = createHmac('sha512', 'shared').update(username).digest('base64')
    expect(credential).toBe(expected)
  })

  it('writes 128 bits of the hash with the first byte as the lowest', () => {
    const hash = createHash('sha256')
      .update(Buffer.from(user.replaceAll('-', ''), 'hex'))
      .digest()
    let value = 0n
    for (let at = 15; at >= 0; at -= 1) value = value * 256n + BigInt(hash[at] ?? 0)
    const name = /r=([a-z]+)$/.exec(turnCredential(user, secret, 1).username)?.[1] ?? ''
    const read = [...name].reduce((sum, c) => sum * 26n + BigInt(c.charCodeAt(0) - 0x61), 0n)
    expect(read).toBe(value)
  })

  it('is the same name for the same user, whenever it is asked for', () => {
    const nameAt = (time: number) => turnCredential(user, secret, time).username.split('r=')[1]
    expect(nameAt(1)).toBe(nameAt(2))
  })
})

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
