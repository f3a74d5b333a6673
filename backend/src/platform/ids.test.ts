import { expect, it } from 'vitest'
import { systemIds } from './ids.ts'

const ids = systemIds()

it('makes version 4 UUIDs in lower case', () => {
  expect(ids.uuid()).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})

it('makes tokens of base64url that hold all the bytes', () => {
  const token = ids.token(24)
  expect(token).toMatch(/^[\w-]{32}$/)
  expect(Buffer.from(token, 'base64url')).toHaveLength(24)
})

it('keeps the leading zeros of six-digit codes', () => {
  const codes = Array.from({ length: 200 }, () => ids.sixDigitCode())
  for (const code of codes) expect(code).toMatch(/^\d{6}$/)
})

it('makes numbers over their whole range', () => {
  const high32 = Array.from({ length: 64 }, () => ids.uint32()).some((n) => n > 2 ** 31)
  const high64 = Array.from({ length: 64 }, () => ids.uint64()).some((n) => n > 2n ** 63n)
  expect([high32, high64]).toEqual([true, true])
})

it('does not repeat itself', () => {
  const made = new Set(Array.from({ length: 1000 }, () => ids.bytes(16).toString('hex')))
  expect(made.size).toBe(1000)
})
