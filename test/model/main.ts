import { parseArgs } from 'node:util'
import { allBut, allRules, explore } from './explore.ts'
import type { Finding } from './explore.ts'
import { promises } from './promises.ts'
import { cut, describeBounds, full, removals } from './scenarios.ts'
import { ruleNames } from './state.ts'

/** `node test/model/main.ts [--full] [--without RULE]`, see docs/delivery-model.md. */
const { values } = parseArgs({
  options: { full: { type: 'boolean', default: false }, without: { type: 'string' } },
})

const print = (line: string): unknown => process.stdout.write(`${line}\n`)

function printFinding({ check, what, trace }: Finding): void {
  print(`${check}: ${what}`)
  for (const [at, step] of trace.entries()) print(`${String(at + 1).padStart(4)} ${step}`)
}

const rule = ruleNames.find((name) => name === values.without)
if (rule !== undefined) {
  const { breaks, bounds } = removals[rule]
  const { finding } = explore(allBut(rule), bounds, { [breaks]: promises[breaks] })
  if (finding) printFinding(finding)
  process.exitCode = finding ? 0 : 1
} else if (values.without !== undefined) {
  print(`No such rule. There are: ${ruleNames.join(', ')}`)
  process.exitCode = 2
} else {
  for (const bounds of values.full ? full : cut) {
    const startedMs = performance.now()
    const { states, transitions, depth, finding } = explore(allRules, bounds)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    print(`${describeBounds(bounds)}:`)
    print(`  ${states} states, ${transitions} steps, ${depth} deep, ${seconds} s`)
    if (finding === undefined) continue
    printFinding(finding)
    process.exitCode = 1
  }
}
