import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClientId, ConnectionId, ConversationId, UserId } from '../../contract/ids.ts'
import { formatToken, parseToken } from './token.ts'
import type { Token } from './token.ts'

const anySignature = fc
  .uint8Array({ minLength: 64, maxLength: 64 })
  .map((bytes) => `${Buffer.from(bytes).toString('base64url')}==`)
const header = {
  keyIndex: fc.integer({ min: 1, max: 9999 }),
  expiresAtSeconds: fc.oneof(fc.nat(), fc.constant('never' as const)),
  isSession: fc.boolean(),
}
const client = fc
  .bigInt({ min: 0n, max: (1n << 64n) - 1n })
  .map((value) => value.toString(16) as ClientId)
const user = fc.uuid().map((text) => text as UserId)
const anyToken: fc.Arbitrary<Token> = fc.oneof(
  fc.record(
    {
      ...header,
      type: fc.constantFrom('access' as const, 'legalhold-access' as const),
      user,
      client,
      connection: fc
        .bigInt({ min: 0n, max: (1n << 64n) - 1n })
        .map((value) => value.toString() as ConnectionId),
    },
    { requiredKeys: ['keyIndex', 'expiresAtSeconds', 'isSession', 'type', 'user', 'connection'] },
  ),
  fc.record(
    {
      ...header,
      type: fc.constantFrom('user' as const, 'legalhold-user' as const),
      user,
      client,
      random: fc.nat(0xffff_ffff),
    },
    { requiredKeys: ['keyIndex', 'expiresAtSeconds', 'isSession', 'type', 'user', 'random'] },
  ),
  fc.record({
    ...header,
    type: fc.constant('bot' as const),
    provider: fc.uuid(),
    bot: fc.uuid(),
    conversation: fc.uuid().map((text) => text as ConversationId),
  }),
  fc.record({ ...header, type: fc.constant('provider' as const), provider: fc.uuid() }),
)

const zeroSignature = `${'A'.repeat(86)}==`
const id = '6562d941-4f40-4db4-b96e-56a06d71c2c3'

describe('the text of a token', () => {
  it.each([
    // Signed texts of upstream's test data, with the device where today's versions write it.
    [
      `v=1.k=1.d=1466770783.t=a.l=.u=${id}.c=11019722839397809329`,
      {
        type: 'access',
        keyIndex: 1,
        expiresAtSeconds: 1466770783,
        isSession: false,
        user: id,
        connection: '11019722839397809329',
      },
    ],
    [
      `v=1.k=1.d=1466770783.t=la.l=.u=${id}.i=deadbeef.c=7`,
      { type: 'legalhold-access', client: 'deadbeef', connection: '7' },
    ],
    [
      `v=1.k=2.d=1466770905.t=u.l=s.u=${id}.r=4feacc.i=deadbeef`,
      { type: 'user', keyIndex: 2, isSession: true, client: 'deadbeef', random: 0x4feacc },
    ],
    [`v=1.k=1.d=1558361914.t=lu.l=.u=${id}.r=64`, { type: 'legalhold-user', random: 0x64 }],
    [
      `v=1.k=1.d=-1.t=b.l=.p=${id}.b=b46833f9-ec2a-4c4a-8304-1a367f849467.c=ae3d1b9e-e47c-4e10-a751-e99a64ada74b`,
      {
        type: 'bot',
        expiresAtSeconds: 'never',
        provider: id,
        bot: 'b46833f9-ec2a-4c4a-8304-1a367f849467',
        conversation: 'ae3d1b9e-e47c-4e10-a751-e99a64ada74b',
      },
    ],
    [`v=1.k=1.d=1467640768.t=p.l=.p=${id}`, { type: 'provider', provider: id }],
  ])('reads %s', (signed, expected) => {
    const parsed = parseToken(`${zeroSignature}.${signed}`)
    expect(parsed?.token).toMatchObject(expected)
    expect(parsed?.signed).toBe(signed)
    expect(parsed?.signature).toEqual(Buffer.alloc(64))
  })

  it('gives back what was written', () => {
    fc.assert(
      fc.property(anyToken, anySignature, (token, signature) => {
        const parsed = parseToken(`${signature}.${formatToken(token)}`)
        expect(parsed?.token).toEqual({ ...token })
      }),
    )
  })

  const good = `v=1.k=1.d=10.t=a.l=.u=${id}.i=ab.c=7`
  it.each([
    ['nothing', ''],
    ['no signature', good],
    ['a short signature', `AAAA.${good}`],
    ['a signature without padding', `${'A'.repeat(86)}.${good}`],
    ['a signature with bits left over', `${'A'.repeat(85)}B==.${good}`],
    ['a signature in plain base64', `${'A'.repeat(85)}+==.${good}`],
    ['another version', `${zeroSignature}.${good.replace('v=1', 'v=2')}`],
    ['an unknown type', `${zeroSignature}.${good.replace('t=a', 't=x')}`],
    ['no type', `${zeroSignature}.${good.replace('t=a.', '')}`],
    ['key 0', `${zeroSignature}.${good.replace('k=1', 'k=0')}`],
    ['an expiry that is no whole number', `${zeroSignature}.${good.replace('d=10', 'd=1e1')}`],
    ['an expiry with a leading zero', `${zeroSignature}.${good.replace('d=10', 'd=010')}`],
    ['an expiry below -1', `${zeroSignature}.${good.replace('d=10', 'd=-2')}`],
    ['an unknown tag', `${zeroSignature}.${good.replace('l=', 'l=x')}`],
    ['fields in another order', `${zeroSignature}.v=1.k=1.d=10.t=a.l=.u=${id}.c=7.i=ab`],
    ['a field twice', `${zeroSignature}.${good}.c=7`],
    ['a field too many', `${zeroSignature}.${good}.x=7`],
    ['an upper-case UUID', `${zeroSignature}.${good.replace(id, id.toUpperCase())}`],
    ['no user', `${zeroSignature}.${good.replace(`.u=${id}`, '')}`],
    ['a device with a leading zero', `${zeroSignature}.${good.replace('i=ab', 'i=0ab')}`],
    ['an empty device', `${zeroSignature}.${good.replace('i=ab', 'i=')}`],
    [
      'a connection over 64 bits',
      `${zeroSignature}.${good.replace('c=7', 'c=18446744073709551616')}`,
    ],
    ['a random part over 32 bits', `${zeroSignature}.v=1.k=1.d=1.t=u.l=.u=${id}.r=100000000`],
    ['a body of another type', `${zeroSignature}.v=1.k=1.d=1.t=u.l=.u=${id}.c=7`],
    ['a very long text', `${zeroSignature}.${good}${'0'.repeat(1 << 20)}`],
  ])('is not %s', (_, text) => {
    expect(parseToken(text)).toBeUndefined()
  })

  it('is read in one spelling only, whatever is sent', () => {
    const mutated = fc
      .tuple(anyToken, anySignature, fc.nat(), fc.string({ maxLength: 2 }))
      .map(([token, signature, at, insert]) => {
        const text = `${signature}.${formatToken(token)}`
        const cut = at % text.length
        return text.slice(0, cut) + insert + text.slice(cut + 1)
      })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), mutated), (text) => {
        const parsed = parseToken(text)
        if (parsed === undefined) return
        const signature = `${parsed.signature.toString('base64url')}==`
        expect(`${signature}.${formatToken(parsed.token)}`).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })
})
