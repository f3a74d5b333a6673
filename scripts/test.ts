/**
 * `npm test`: types, lint, formatting, import rules, then every test that needs only Node. Ends with
 * one line that counts them all. `npm test -- path` passes paths on to vitest and skips the checks.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { add, closeWith, run, runVitest, type Counts } from './test-run.ts'

const checks = [
  { name: 'types', command: ['tsc', '-b'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--quiet'] },
  { name: 'format', command: ['oxfmt', '--check'] },
  { name: 'imports', command: ['node', 'scripts/check-imports.ts'] },
] as const

const args = process.argv.slice(2)
const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
for (const check of args.length === 0 ? checks : []) {
  console.log(`\n> ${check.name}`)
  if ((await run(check.command)) === 0) counts.passed += 1
  else counts.failed += 1
}
const results = join(import.meta.dirname, '../test-results')
if (args.length === 0) await rm(results, { recursive: true, force: true })
const tests = await runVitest(args)
if (args.length === 0) {
  console.log('\n> conformance')
  if ((await run(['node', 'test/conformance/report.ts'])) === 0) counts.passed += 1
  else counts.failed += 1
}
add(counts, tests)
closeWith(counts)
