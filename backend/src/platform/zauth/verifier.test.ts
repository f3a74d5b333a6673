import fc from 'fast-check'
import { parseAccessToken } from '@wireapp/api-client/lib/auth/parseAccessToken.js'
import { describe, expect, it } from 'vitest'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import { generatePrivateKey, publicKeyOf } from './keys.ts'
import { createSigner } from './signer.ts'
import type { UnsignedToken } from './signer.ts'
import { createVerifier } from './verifier.ts'

const user = '6562d941-4f40-4db4-b96e-56a06d71c2c3' as UserId
const access: UnsignedToken = {
  type: 'access',
  expiresAtSeconds: 1000,
  isSession: false,
  user,
  client: 'ab12' as ClientId,
  connection: '18446744073709551615' as ConnectionId,
}
const cookie: UnsignedToken = {
  type: 'user',
  expiresAtSeconds: 'never',
  isSession: true,
  user,
  random: 7,
}

function setUp(options: { cacheSize?: number; keys?: number } = {}) {
  const privateKeys = Array.from({ length: options.keys ?? 1 }, generatePrivateKey)
  const time = { seconds: 500 }
  const verifier = createVerifier({
    publicKeys: privateKeys.map(publicKeyOf),
    nowSeconds: () => time.seconds,
    cacheSize: options.cacheSize ?? 10,
  })
  return { privateKeys, signer: createSigner({ privateKeys }), verifier, time }
}

describe('a signed token', () => {
  it('is verified, from memory as well', () => {
    const { signer, verifier } = setUp()
    const text = signer.sign(access)
    for (let round = 0; round < 2; round += 1) {
      const verdict = verifier.verify(text, ['access'])
      expect(verdict).toEqual({ ok: true, token: { ...access, keyIndex: 1 } })
      if (verdict.ok) expect(verdict.token.connection).toBe('18446744073709551615')
    }
    expect(verifier.remembered).toBe(1)
  })

  it("is understood by Wire's own client", () => {
    const text = setUp().signer.sign(access)
    expect(parseAccessToken(text)).toMatchObject({
      version: 1,
      type: 'access-data',
      userId: user,
      clientId: '18446744073709551615',
      keyIndex: 1,
      expirationDate: new Date(1_000_000),
    })
  })

  it('counts up to and including the second in which it expires', () => {
    const { signer, verifier, time } = setUp()
    const text = signer.sign(access)
    time.seconds = 1000
    expect(verifier.verify(text, ['access']).ok).toBe(true)
    time.seconds = 1001
    expect(verifier.verify(text, ['access'])).toMatchObject({
      ok: false,
      reason: 'expired',
      token: { user },
    })
    expect(verifier.remembered).toBe(0)
  })

  it('never expires when it says so', () => {
    const { signer, verifier, time } = setUp()
    time.seconds = 1e12
    expect(verifier.verify(signer.sign(cookie), ['user']).ok).toBe(true)
  })

  it('is refused where another type is expected', () => {
    const { signer, verifier } = setUp()
    const text = signer.sign(cookie)
    for (let round = 0; round < 2; round += 1) {
      const verdict = verifier.verify(text, ['access', 'legalhold-access'])
      expect(verdict).toEqual({ ok: false, reason: 'wrong-type' })
    }
    expect(verifier.verify(text, ['access', 'user']).ok).toBe(true)
  })

  it('is forged when somebody else signed it, under any index', () => {
    const { verifier } = setUp()
    const other = createSigner({ privateKeys: [generatePrivateKey()] })
    expect(verifier.verify(other.sign(access), ['access'])).toEqual({ ok: false, reason: 'forged' })
    const absent = createSigner({ privateKeys: [generatePrivateKey(), generatePrivateKey()] })
    expect(verifier.verify(absent.sign(access), ['access'])).toEqual({
      ok: false,
      reason: 'forged',
    })
    expect(verifier.remembered).toBe(0)
  })

  it('is forged when one field is changed', () => {
    const { signer, verifier } = setUp()
    const text = signer.sign(access).replace('.d=1000.', '.d=9000.')
    expect(verifier.verify(text, ['access'])).toEqual({ ok: false, reason: 'forged' })
  })

  it('stays good when a newer key signs, which it does unless told otherwise', () => {
    const { privateKeys, signer, verifier } = setUp({ keys: 2 })
    const before = createSigner({ privateKeys, keyIndex: 1 }).sign(access)
    expect(signer.sign(access)).toContain('.k=2.')
    for (const text of [before, signer.sign(access)]) {
      expect(verifier.verify(text, ['access']).ok).toBe(true)
    }
    expect(() => createSigner({ privateKeys, keyIndex: 3 })).toThrow('no signing key 3')
  })

  it('is remembered with a bound, the oldest giving way', () => {
    const { signer, verifier } = setUp({ cacheSize: 3 })
    for (let random = 0; random < 20; random += 1) {
      expect(verifier.verify(signer.sign({ ...cookie, random }), ['user']).ok).toBe(true)
      expect(verifier.remembered).toBeLessThanOrEqual(3)
    }
    expect(setUp({ cacheSize: 0 }).verifier.remembered).toBe(0)
  })
})

describe('what is no token of ours', () => {
  it('is malformed or forged, and leaves nothing behind', () => {
    const { signer, verifier } = setUp()
    const good = signer.sign(access)
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 3 }))
      .map(([at, insert]) => good.slice(0, at) + insert + good.slice(at + 1))
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), mutated), (text) => {
        fc.pre(text !== good)
        const verdict = verifier.verify(text, ['access'])
        expect(verdict.ok ? 'ok' : verdict.reason).toMatch(/^(malformed|forged)$/)
        expect(verifier.remembered).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})
