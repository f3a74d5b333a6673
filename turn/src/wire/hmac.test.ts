import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fixedHmac, hmac } from './hmac.ts'

it('is the HMAC that everybody computes, for keys of any length', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('sha1' as const, 'sha256' as const),
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 3 }),
      (name, key, parts) => {
        const expected = createHmac(name, key).update(Buffer.concat(parts)).digest()
        expect(hmac(name, key, ...parts)).toEqual(expected)
        const whole = Buffer.concat(parts)
        const fixed = fixedHmac(name, key, whole.length)
        for (let times = 0; times < 2; times += 1) {
          fixed.message.set(whole)
          expect(Buffer.from(fixed.digest(), 'latin1')).toEqual(expected)
        }
      },
    ),
  )
})
