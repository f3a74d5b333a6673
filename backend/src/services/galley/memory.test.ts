import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { createMemory } from './memory.ts'

const memory = (maxWeight = 10) =>
  createMemory<string, number>({ maxWeight, weightOf: (value) => value })

describe('memory', () => {
  it('loads once, also for callers at the same moment', async () => {
    const { get } = memory()
    const load = vi.fn(async () => 1)
    expect(await Promise.all([get('a', load), get('a', load)])).toEqual([1, 1])
    expect(await get('a', load)).toBe(1)
    expect(load).toHaveBeenCalledTimes(1)
  })

  it('keeps neither absence nor failure', async () => {
    const { get } = memory()
    expect(await get('a', async () => undefined)).toBeUndefined()
    await expect(get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await get('a', async () => 2)).toBe(2)
  })

  it('forgets what was used least recently when there is too much', async () => {
    const { get } = memory(3)
    const reload = vi.fn(async () => 1)
    for (const key of ['a', 'b', 'c']) await get(key, async () => 1)
    await get('a', reload)
    await get('d', async () => 1)
    await get('a', reload)
    await get('c', reload)
    expect(reload).toHaveBeenCalledTimes(0)
    await get('b', reload)
    expect(reload).toHaveBeenCalledTimes(1)
    // Something that weighs more than all is not kept, and pushes the others out.
    await get('e', async () => 4)
    await get('e', reload)
    expect(reload).toHaveBeenCalledTimes(2)
  })

  it('never answers with what was true before a change was answered', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { maxLength: 12 }),
        async (s, steps) => {
          const { get, forget } = memory(1000)
          let stored = 1
          let answered = 1
          const read = async () => {
            const before = answered
            // A load sees the store at one moment and answers at a later one.
            const load = async () => {
              await s.schedule(Promise.resolve(), 'read')
              const value = stored
              await s.schedule(Promise.resolve(), 'answer the read')
              return value
            }
            expect(await get('a', load)).toBeGreaterThanOrEqual(before)
          }
          const write = async () => {
            await s.schedule(Promise.resolve(), 'write')
            stored += 1
            const written = stored
            await s.schedule(Promise.resolve(), 'answer the write')
            forget('a')
            answered = Math.max(answered, written)
          }
          const work = steps.map((isWrite) =>
            s.schedule(Promise.resolve()).then(() => (isWrite ? write() : read())),
          )
          await s.waitFor(Promise.all(work))
          await s.waitFor(read())
        },
      ),
      { numRuns: 500 },
    )
  })
})
