import { describe, expect, it } from 'vitest'
import { allBut, allRules, explore } from './explore.ts'
import type { Finding } from './explore.ts'
import { limits, promises } from './promises.ts'
import { cut, describeBounds, removals, witnesses } from './scenarios.ts'
import { ruleNames } from './state.ts'
import type { RuleName } from './state.ts'

const longestMs = 60_000

function findingWithout(rule: RuleName): Finding | undefined {
  const { breaks, bounds } = removals[rule]
  return explore(allBut(rule), bounds, { [breaks]: promises[breaks] }).finding
}

describe('with all rules', { timeout: longestMs }, () => {
  it.each(cut.map((bounds) => ({ bounds, name: describeBounds(bounds) })))(
    'every promise is kept in every state: $name',
    ({ bounds }) => {
      const { states, finding } = explore(allRules, bounds)
      expect(finding).toBeUndefined()
      expect(states).toBeGreaterThan(5000)
    },
  )

  it.each(Object.entries(witnesses))('this happens: %s', (_, { bounds, reached }) => {
    expect(explore(allRules, bounds, { reached }).finding).toBeDefined()
  })

  it.each(Object.entries(limits))('rows left behind are seen as documented: %s', (name, limit) => {
    const { bounds } = removals.repeat
    expect(explore(allRules, bounds, { [name]: limit }).finding?.check).toBe(name)
  })
})

describe('without a rule', { timeout: longestMs }, () => {
  it.each(ruleNames)('a promise breaks: %s', (rule) => {
    const finding = findingWithout(rule)
    expect(finding?.check).toBe(removals[rule].breaks)
    expect(finding?.trace.length).toBeLessThanOrEqual(14)
  })

  it('what breaks is what the kept traces tell', async () => {
    const told = ruleNames.map((rule) => {
      const finding = findingWithout(rule)
      return [`without ${rule}: ${finding?.what}`, ...(finding?.trace ?? [])].join('\n  ')
    })
    await expect(`${told.join('\n\n')}\n`).toMatchFileSnapshot('counterexamples.txt')
  })
})
