import { describe as suite, expect, it } from 'vitest'
import { z } from 'zod'
import { describe } from './reply.ts'

suite('the sentence about a failed parse', () => {
  const sentenceOf = (shape: z.ZodType, value: unknown): string => {
    const parsed = shape.safeParse(value)
    return parsed.error === undefined ? '' : describe(parsed.error)
  }

  it('names the first place and what is wrong there', () => {
    const shape = z.object({ a: z.object({ b: z.array(z.int()) }) })
    expect(sentenceOf(shape, { a: { b: [1, 'x'] } })).toMatch(/^a\.b\.1: .*expected number/)
    expect(sentenceOf(shape, 5)).toMatch(/^Invalid input/)
  })

  it('does not repeat all that a caller can put into it', () => {
    const long = 'k'.repeat(100_000)
    for (const [shape, value] of [
      [z.record(z.string(), z.int()), { [long]: 'x' }],
      [z.strictObject({}), { [long]: 1 }],
      [z.record(z.string().max(3), z.int()), { [long]: 1 }],
    ] as const) {
      expect(sentenceOf(shape, value).length).toBeLessThan(400)
    }
    // No half of a character either, which no client could read.
    expect(sentenceOf(z.record(z.string(), z.int()), { [`x${'🤦'.repeat(500)}`]: 1.5 })).toBe(
      sentenceOf(z.record(z.string(), z.int()), { [`x${'🤦'.repeat(500)}`]: 1.5 }).toWellFormed(),
    )
  })
})
