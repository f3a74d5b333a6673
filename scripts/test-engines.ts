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
        args: [...scenarios, 'test/e2e/assets', 'test/e2e/people', 'test/e2e/waking'],
      },
    ],
  },
]

const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
const say = (line: string): void => console.log(line)
const fail = (error: unknown): void => {
  console.error(error)
  counts.failed += 1
}

const unknown = only.filter((part) => parts.every((known) => known !== part))
if (unknown.length > 0) {
  throw new Error(`no ${unknown.join(', ')} here: npm run test:engines [-- ${parts.join('|')} ...]`)
}
interface Opened {
  readonly environment: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** Engines of a stage's own, in a folder that goes with them. */
async function open({ nodes, isSecure = false }: Stage, index: number): Promise<Opened> {
  await using opening = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tricord-engines-'))
  opening.defer(() => rm(directory, { recursive: true, force: true }))
  // Networks of this run's own, so that it can run beside a developer's engines.
  const network = `127.77.${String(100 + (process.pid % 50) * stages.length + index)}`
  const engines = opening.use(await startEngines({ nodes, directory, network, isSecure, say }))
  const opened = opening.move()
  return {
    environment: { ...variablesOf(engines), TRICORD_TEST_ENGINES: directory },
    stop: () => opened.disposeAsync(),
  }
}

const wanted = stages
  .map((stage) => ({ ...stage, runs: stage.runs.filter(({ part }) => isWanted(part)) }))
  .filter(({ runs }) => runs.length > 0)
/** Whoever stops us is left without engines, too. */
const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)))
}
/** The engines of the next stage start while the tests of this one run, which wait a lot. */
let next: Promise<Opened> | undefined
/** Those of a stage that is done stop meanwhile. */
const closing: Promise<void>[] = []
for (const [index, stage] of wanted.entries()) {
  console.log(`\n> engines, ${String(stage.nodes)} of each${stage.isSecure ? ', secured' : ''}`)
  const opening = next ?? open(stage, index)
  next = undefined
  let opened: Opened | undefined
  try {
    opened = await opening
    stopping.signal.throwIfAborted()
    const following = wanted[index + 1]
    next = following && open(following, index + 1)
    // Whoever awaits it hears of a failure, later.
    next?.catch(() => undefined)
    for (const { part, args } of stage.runs) {
      console.log(`\n> ${part}`)
      add(counts, await runVitest([...args], opened.environment, stopping.signal))
      stopping.signal.throwIfAborted()
    }
  } catch (error) {
    fail(error)
  } finally {
    if (opened !== undefined) closing.push(opened.stop().catch(fail))
  }
  if (stopping.signal.aborted) break
}
const unused = next?.then((opened) => opened.stop())
await Promise.all([...closing, unused?.catch(fail)])
closeWith(counts)
