/**
 * `npm run test:engines [-- contracts|scenarios|secured]`: what every adapter promises, on one and on
 * three nodes of the real engines, then the scenarios of Wire's clients on two of every service, and
 * some of them once more with certificates and passwords everywhere. Starts engines of its own, in
 * folders that go with it, and ends with one line that counts it all.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { variablesOf } from './engines/environment.ts'
import { startEngines } from './engines/start.ts'
import { add, closeWith, runVitest, type Counts } from './test-run.ts'

type Part = 'contracts' | 'scenarios' | 'secured'
const parts: readonly Part[] = ['contracts', 'scenarios', 'secured']
const only: readonly string[] = process.argv.slice(2)
const isWanted = (part: Part): boolean => only.length === 0 || only.includes(part)

interface Stage {
  readonly nodes: 1 | 3
  readonly isSecure?: boolean
  readonly runs: readonly { readonly part: Part; readonly args: readonly string[] }[]
}

const contracts = {
  part: 'contracts',
  args: ['--config', 'test/engines/contracts.config.ts'],
} as const
const scenarios = ['--config', 'test/engines/scenarios.config.ts']
const stages: readonly Stage[] = [
  { nodes: 1, runs: [contracts] },
  { nodes: 3, runs: [contracts, { part: 'scenarios', args: scenarios }] },
  {
    nodes: 1,
    isSecure: true,
    runs: [
      {
        part: 'secured',
        args: [...scenarios, 'test/e2e/first-message', 'test/e2e/assets', 'test/e2e/people'],
      },
    ],
  },
]

const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
const say = (line: string): void => console.log(line)

const unknown = only.filter((part) => parts.every((known) => known !== part))
if (unknown.length > 0) {
  throw new Error(`no ${unknown.join(', ')} here: npm run test:engines [-- ${parts.join('|')} ...]`)
}
for (const [index, { nodes, isSecure = false, runs }] of stages.entries()) {
  const wanted = runs.filter(({ part }) => isWanted(part))
  if (wanted.length === 0) continue
  console.log(`\n> engines, ${String(nodes)} of each${isSecure ? ', secured' : ''}`)
  const directory = await mkdtemp(join(tmpdir(), 'tricord-engines-'))
  // Networks of this run's own, so that it can run beside a developer's engines.
  const network = `127.77.${String(100 + (process.pid % 50) * stages.length + index)}`
  try {
    await using engines = await startEngines({ nodes, directory, network, isSecure, say })
    const environment = { ...variablesOf(engines), TRICORD_TEST_ENGINES: directory }
    for (const { part, args } of wanted) {
      console.log(`\n> ${part}`)
      add(counts, await runVitest([...args], environment))
    }
  } catch (error) {
    console.error(error)
    counts.failed += 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
closeWith(counts)
