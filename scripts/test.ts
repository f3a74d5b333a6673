/**
 * `npm test`: types, lint, formatting, import rules, then every test that needs only Node. Ends with
 * one line that counts them all. `npm test -- path` passes paths on to vitest and skips the checks.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Counts {
  passed: number
  failed: number
  skipped: number
}

const checks = [
  { name: 'types', command: ['tsc', '-b'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--quiet'] },
  { name: 'format', command: ['oxfmt', '--check'] },
  { name: 'imports', command: ['node', 'scripts/check-imports.ts'] },
] as const

function run(command: readonly string[]): Promise<number> {
  const [file = '', ...args] = command
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: 'inherit',
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    })
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`)
      resolve(1)
    })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

async function runVitest(args: readonly string[]): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-test-'))
  const report = join(folder, 'report.json')
  try {
    const code = await run([
      'vitest',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ])
    const counted = JSON.parse(await readFile(report, 'utf8')) as {
      numPassedTests: number
      numFailedTests: number
      numFailedTestSuites: number
      numPendingTests: number
    }
    const failed = Math.max(counted.numFailedTests, code === 0 ? 0 : 1)
    return { passed: counted.numPassedTests, failed, skipped: counted.numPendingTests }
  } catch (error) {
    console.error(`vitest left no report: ${String(error)}`)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    await rm(folder, { recursive: true })
  }
}

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
counts.passed += tests.passed
counts.failed += tests.failed
counts.skipped += tests.skipped
const skipped = counts.skipped > 0 ? `, ${String(counts.skipped)} skipped` : ''
console.log(`\n${String(counts.passed)} passed, ${String(counts.failed)} failed${skipped}`)
if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1
