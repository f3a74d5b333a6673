import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Unavailable } from '../contract/error.ts'
import { systemIds } from './ids.ts'
import { createPasswords } from './passwords.ts'
import type { PasswordCost } from './passwords.ts'

const cheap: PasswordCost = { memoryKib: 8, passes: 1, lanes: 1 }
const passwords = createPasswords({ ids: systemIds(), cost: cheap })

describe('a hashed password', () => {
  it('is verified by the same password only', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: 'grapheme' }),
        async (password, other) => {
          fc.pre(password !== other)
          const stored = await passwords.hash(password)
          expect(await passwords.verify(password, stored)).toBe(true)
          expect(await passwords.verify(other, stored)).toBe(false)
        },
      ),
    )
  })

  it('carries its cost and a salt of its own', async () => {
    const stored = await passwords.hash('correct horse')
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=8,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(await passwords.hash('correct horse')).not.toBe(stored)
  })

  it.each([
    // Test vectors of the reference implementation (P-H-C/phc-winner-argon2, src/test.c).
    '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
    '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
  ])('is verified at the cost it was made at: %s', async (stored) => {
    expect(await passwords.verify('password', stored)).toBe(true)
    expect(await passwords.verify('Password', stored)).toBe(false)
    expect(passwords.needsRehash(stored)).toBe(true)
  })

  it('is to be made anew when the cost has changed', async () => {
    const stored = await passwords.hash('correct horse')
    expect(passwords.needsRehash(stored)).toBe(false)
    for (const change of [{ memoryKib: 16 }, { passes: 2 }, { memoryKib: 16, lanes: 2 }]) {
      const dearer = createPasswords({ ids: systemIds(), cost: { ...cheap, ...change } })
      expect(dearer.needsRehash(stored)).toBe(true)
      expect(await dearer.verify('correct horse', stored)).toBe(true)
    }
  })

  it.each([
    '',
    'correct horse',
    '$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
    '$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
    '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$',
  ])('is a defect, not a wrong password, when it reads %j', async (stored) => {
    await expect(passwords.verify('correct horse', stored)).rejects.toThrow(
      /^a stored password is not an Argon2id hash$/,
    )
  })
})

describe('somebody without an account', () => {
  it('never has the right password, and waits as long to be told', async () => {
    const dear = createPasswords({ ids: systemIds(), cost: { ...cheap, memoryKib: 16_384 } })
    const stored = await dear.hash('correct horse')
    const durationMs = async (hash: string | undefined) => {
      const startMs = performance.now()
      expect(await dear.verify('wrong', hash)).toBe(false)
      return performance.now() - startMs
    }
    // The quickest of several: what else the machine does only ever adds.
    const known = [await durationMs(stored), await durationMs(stored), await durationMs(stored)]
    const unknown = [
      await durationMs(undefined),
      await durationMs(undefined),
      await durationMs(undefined),
    ]
    expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 4)
  })
})

describe('a rush of passwords', () => {
  it('waits its turn, and is told to come back when too many wait', async () => {
    const narrow = createPasswords({
      ids: systemIds(),
      cost: cheap,
      maxConcurrent: 1,
      maxWaiting: 2,
    })
    const rush = ['a', 'b', 'c', 'd', 'e'].map((password) => narrow.hash(password))
    const outcomes = await Promise.allSettled(rush)
    const isHashed = outcomes.map(({ status }) => status === 'fulfilled')
    expect(isHashed).toEqual([true, true, true, false, false])
    await expect(rush[4]).rejects.toBeInstanceOf(Unavailable)
    await expect(narrow.hash('later')).resolves.toContain('$argon2id$')
  })

  it('goes on after one has failed', async () => {
    const failing = createPasswords({
      ids: systemIds(),
      cost: { memoryKib: 1, passes: 0, lanes: 1 },
      maxConcurrent: 1,
    })
    await expect(failing.hash('one')).rejects.toBeInstanceOf(RangeError)
    await expect(failing.hash('two')).rejects.toBeInstanceOf(RangeError)
  })
})
