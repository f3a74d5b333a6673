/**
 * `npm run test:engines [-- contracts|scenarios]`: what every adapter promises, on one and on three
 * nodes of the real engines, then the scenarios of Wire's clients on two of every service. Starts
 * engines of its own, in a folder that goes with it, and ends with one line that counts it all.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { variablesOf } from './engines/environment.ts'
import { startEngines } from './engines/start.ts'
import { add, closeWith, runVitest, type Counts } from './test-run.ts'

const [only] = process.argv.slice(2)
const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
const say = (line: string): void => console.log(line)

/** Networks of this run's own, so that it can run beside a developer's engines. */
const networkOf = (nodes: number): string =>
  `127.77.${String(100 + (process.pid % 50) + 50 * Number(nodes > 1))}`

for (const nodes of [1, 3] as const) {
  if (nodes === 1 && only === 'scenarios') continue
  console.log(`\n> engines, ${String(nodes)} of each`)
  const directory = await mkdtemp(join(tmpdir(), 'tricord-engines-'))
  try {
    await using engines = await startEngines({ nodes, directory, network: networkOf(nodes), say })
    const environment = { ...variablesOf(engines), TRICORD_TEST_ENGINES: directory }
    if (only !== 'scenarios') {
      console.log(`\n> contracts, on ${String(nodes)} of each engine`)
      add(counts, await runVitest(['--config', 'test/engines/contracts.config.ts'], environment))
    }
    if (nodes === 3 && only !== 'contracts') {
      console.log('\n> scenarios, on two of each service')
      add(counts, await runVitest(['--config', 'test/engines/scenarios.config.ts'], environment))
    }
  } catch (error) {
    console.error(error)
    counts.failed += 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
closeWith(counts)
