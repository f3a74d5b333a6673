/** What the test commands share: running programs, running vitest, and the line that counts it all. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** Resolves with the exit code; 1 when it could not be started, or was ended by the signal. */
export function run(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<number> {
  const [file = '', ...args] = command
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: 'inherit',
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...environment },
    })
    const end = (): void => void child.kill('SIGINT')
    signal?.addEventListener('abort', end)
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`)
      resolve(1)
    })
    child.on('close', (code) => {
      signal?.removeEventListener('abort', end)
      resolve(code ?? 1)
    })
  })
}

export async function runVitest(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-test-'))
  const report = join(folder, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const code = await run(['vitest', 'run', ...reporters, ...args], environment, signal)
    const counted = JSON.parse(await readFile(report, 'utf8')) as Report
    for (const { fullName, why } of passedLate(counted)) {
      console.log(`\nPassed at the second try only: ${fullName}\n  ${why}`)
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

/** What vitest writes, as far as it is read here. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[] | null
    }[]
  }[]
}

/** Tests that passed and have a failure: that of an earlier try. */
const passedLate = ({ testResults }: Report): { fullName: string; why: string }[] =>
  testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .flatMap(({ fullName, status, failureMessages }) => {
      const [why] = failureMessages ?? []
      return status === 'passed' && why !== undefined
        ? [{ fullName, why: why.split('\n')[0] ?? '' }]
        : []
    })

/** The last line of every test command; the exit code follows it. */
export function closeWith({ passed, failed, skipped }: Counts): void {
  const more = skipped > 0 ? `, ${String(skipped)} skipped` : ''
  console.log(`\n${String(passed)} passed, ${String(failed)} failed${more}`)
  if (failed > 0 || passed === 0) process.exitCode = 1
}

/** Adds the counts of one part. */
export function add(counts: Counts, { passed, failed, skipped }: Counts): void {
  counts.passed += passed
  counts.failed += failed
  counts.skipped += skipped
}
