import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { hmac } from './hmac.ts'

it('is the HMAC that everybody computes, for keys of any length', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('sha1' as const, 'sha256' as const),
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 3 }),
      (name, key, parts) => {
        const expected = createHmac(name, key).update(Buffer.concat(parts)).digest()
        expect(hmac(name, key, ...parts)).toEqual(expected)
      },
    ),
  )
})
