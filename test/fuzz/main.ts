/** `npm run fuzz -- NAME [--seconds N] [--seed N]`: hostile input until the time is over. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { publicEndpoints } from '../hostile/endpoints.ts'
import { senderTo } from '../hostile/http.ts'
import { answersAsDeclared } from '../hostile/judge.ts'
import { cheapPasswords, isIntact, newWorld, tokensOf } from '../hostile/world.ts'
import { startTestServer } from '../support/server.ts'
import { parserTargets, type FuzzTarget } from './parsers.ts'
import { keepSeed } from './seeds.ts'
import { fuzzTurn } from './turn.ts'

const usage = `Usage: npm run fuzz -- NAME [--seconds N] [--seed N]

  NAME        one of those below, or parsers, endpoints, turn or all
  --seconds   how long in all, shared evenly (60)
  --seed      repeats a run; printed with each result

A counterexample is printed, made small, and its seed kept in test/fuzz/seeds, where the tests
find it. Exit codes: 0 nothing found, 1 something found, 2 wrong usage.

Parsers:
${parserTargets.map(({ name, summary }) => `  ${name.padEnd(18)}${summary}`).join('\n')}

turn                a relay in processes of its own under packets at line rate; with a fault, the last
                    packets are kept in test-results

Endpoints, each with requests made by its declaration and damaged:
${publicEndpoints.map(({ name }) => `  ${name}`).join('\n')}
`

const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Outcome {
  readonly name: string
  readonly runs: number
  readonly isFine: boolean
}

/** Runs one property for a while, in slices, so that what a slice broke can be mended. */
async function fuzz(
  name: string,
  makeProperty: () => Promise<ReturnType<FuzzTarget['property']>>,
  { seed, forMs }: { seed: number; forMs: number },
): Promise<Outcome> {
  const endMs = performance.now() + forMs
  let runs = 0
  for (let slice = 0; slice === 0 || performance.now() < endMs; slice += 1) {
    const result = await fc.check(await makeProperty(), {
      seed: seed + slice,
      numRuns: 1000,
      interruptAfterTimeLimit: Math.max(endMs - performance.now(), 500),
      markInterruptAsFailure: false,
    })
    runs += result.numRuns
    if (result.failed && result.counterexamplePath !== null) {
      const fault = String(result.errorInstance).split('\n')[0] ?? ''
      say(`${name}: FAULT after ${String(runs)} runs: ${fault}`)
      say(`  smallest: ${fc.stringify(result.counterexample)}`)
      const kept = { seed: result.seed, path: result.counterexamplePath, fault }
      say(`  seed ${String(result.seed)}, path ${kept.path}, kept in ${await keepSeed(name, kept)}`)
      return { name, runs, isFine: false }
    }
  }
  say(`${name}: nothing found in ${String(runs)} runs, seed ${String(seed)}`)
  return { name, runs, isFine: true }
}

async function fuzzEndpoints(
  names: readonly string[],
  pace: { seed: number; forMs: number },
): Promise<Outcome[]> {
  await using server = await startTestServer({}, cheapPasswords)
  await using sender = senderTo(server.url)
  let world = await newWorld(server)
  const outcomes: Outcome[] = []
  for (const { name, declaration } of publicEndpoints.filter(({ name }) => names.includes(name))) {
    const makeProperty = async (): Promise<ReturnType<FuzzTarget['property']>> => {
      if (!(await isIntact(world))) world = await newWorld(server)
      return answersAsDeclared({ declaration, world, tokens: tokensOf(world) }, sender)
    }
    outcomes.push(await fuzz(name, makeProperty, pace))
  }
  return outcomes
}

async function run(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [name, ...rest] = positionals
  const seconds = Number(values.seconds)
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const isChosen = (group: string, each: string): boolean =>
    name === each || name === group || name === 'all'
  const parsers = parserTargets.filter((target) => isChosen('parsers', target.name))
  const endpoints = publicEndpoints.filter((endpoint) => isChosen('endpoints', endpoint.name))
  const hasTurn = isChosen('turn', 'turn')
  const count = parsers.length + endpoints.length + (hasTurn ? 1 : 0)
  const isUsable = rest.length === 0 && seconds > 0 && Number.isSafeInteger(seed) && count > 0
  if (values.help || !isUsable) {
    ;(values.help ? process.stdout : process.stderr).write(usage)
    return values.help ? 0 : 2
  }

  const pace = { seed, forMs: (seconds * 1000) / count }
  const outcomes: Outcome[] = []
  for (const { name, property } of parsers) {
    outcomes.push(await fuzz(name, async () => property(), pace))
  }
  if (endpoints.length > 0) {
    outcomes.push(
      ...(await fuzzEndpoints(
        endpoints.map(({ name }) => name),
        pace,
      )),
    )
  }
  if (hasTurn) {
    const { runs, fault } = await fuzzTurn({ ...pace, say })
    const finding = fault === undefined ? 'nothing found' : `FAULT: ${fault}`
    say(`turn: ${finding} in ${String(runs)} packets, seed ${String(seed)}`)
    outcomes.push({ name: 'turn', runs, isFine: fault === undefined })
  }
  const runs = outcomes.reduce((sum, outcome) => sum + outcome.runs, 0)
  const faulty = outcomes.filter(({ isFine }) => !isFine)
  say(`${String(runs)} runs, ${String(faulty.length)} of ${String(count)} targets at fault`)
  return faulty.length === 0 ? 0 : 1
}

try {
  process.exitCode = await run()
} catch (error) {
  const isUsage = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
  process.stderr.write(`${isUsage ? `${(error as Error).message}\n\n${usage}` : String(error)}\n`)
  process.exitCode = isUsage ? 2 : 1
}
