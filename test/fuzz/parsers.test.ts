import fc from 'fast-check'
import { describe, it } from 'vitest'
import { parserTargets } from './parsers.ts'
import { keptSeeds } from './seeds.ts'

describe('whatever it is given, the parser of', () => {
  it.each(parserTargets)('$name takes it or refuses it', async ({ name, property }) => {
    await fc.assert(property(), { seed: 20_260_312, numRuns: 200 })
    for (const { seed, path } of await keptSeeds(name)) {
      await fc.assert(property(), { seed, path, endOnFailure: true })
    }
  })
})
