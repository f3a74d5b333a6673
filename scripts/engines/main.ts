/** `npm run engines -- up | status | logs | stop | reset`: real engines on loopback addresses. */
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { type EngineName, engineNames } from './engine.ts'
import { environmentOf } from './environment.ts'
import { defaultDirectory, defaultNetwork } from './layout.ts'
import { tail } from './node.ts'
import { attachEngines, type EngineOptions, startEngines } from './start.ts'
import { statusOf, statusTable } from './status.ts'

const usage = `npm run engines -- COMMAND [NAME...] [OPTIONS]

  up [--nodes 1|3] [--secure]   fetch, configure and start; what runs already is left alone
  status [--json]               what runs where, with its memory
  env                           shell lines with the addresses for tests
  logs NAME [--lines N]         the end of each node's log
  stop                          end cleanly; the data stays
  reset [--yes]                 stop and delete the data

Names: ${engineNames.join(', ')}; all of them if none is given.
  --network 127.A.B   another set of engines beside the first (${defaultNetwork})
  --directory DIR     where its data lies
`

class UsageError extends Error {}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: 'string' },
    secure: { type: 'boolean' },
    network: { type: 'string' },
    directory: { type: 'string' },
    json: { type: 'boolean', default: false },
    yes: { type: 'boolean', default: false },
    lines: { type: 'string', default: '40' },
    help: { type: 'boolean', default: false },
  },
})

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function isEngineName(name: string): name is EngineName {
  return engineNames.some((one) => one === name)
}

function readNodes(text: string | undefined): 1 | 3 | undefined {
  if (text === undefined) return undefined
  if (text === '1') return 1
  if (text === '3') return 3
  throw new UsageError(`--nodes is 1 or 3, not "${text}"`)
}

function readOptions(names: readonly string[]): EngineOptions {
  const unknown = names.filter((name) => !isEngineName(name))
  if (unknown.length > 0) {
    throw new UsageError(`there is no engine "${unknown.join('", "')}": ${engineNames.join(', ')}`)
  }
  const nodes = readNodes(values.nodes)
  return {
    names: names.filter(isEngineName),
    ...(nodes === undefined ? {} : { nodes }),
    ...(values.secure === undefined ? {} : { isSecure: values.secure }),
    ...(values.network === undefined ? {} : { network: values.network }),
    ...(values.directory === undefined ? {} : { directory: values.directory }),
    say,
  }
}

async function confirm(question: string): Promise<boolean> {
  if (values.yes) return true
  if (!process.stdin.isTTY) throw new UsageError('"reset" needs --yes where there is no terminal')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}

async function up(options: EngineOptions): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new Error('interrupted; "up" goes on from here')))
  const running = await startEngines({ ...options, signal: stop.signal })
  say('')
  process.stdout.write(`${statusTable(await statusOf(running))}\n`)
  say(`\nStop with "npm run engines -- stop". Data and logs: ${running.directory}`)
}

async function status(options: EngineOptions): Promise<void> {
  const lines = await statusOf(await attachEngines(options))
  process.stdout.write(
    values.json ? `${JSON.stringify(lines, null, 2)}\n` : `${statusTable(lines)}\n`,
  )
}

async function logs(options: EngineOptions): Promise<void> {
  if (options.names?.length === 0) throw new UsageError('"logs" needs the name of an engine')
  const lines = Number(values.lines)
  if (!Number.isInteger(lines) || lines < 1) throw new UsageError('--lines is a number above 0')
  const running = await attachEngines(options)
  for (const engine of Object.values(running.engines)) {
    if (!(options.names ?? []).includes(engine.name)) continue
    for (const node of engine.nodes) {
      process.stdout.write(`==> ${node.log}\n${await tail(node.log, lines)}\n`)
    }
  }
}

async function stop(options: EngineOptions): Promise<void> {
  const running = await attachEngines(options)
  await Promise.all(
    Object.values(running.engines).flatMap((engine) =>
      engine.nodes.map(async (node) => {
        if ((await node.state()) === 'stopped') return
        const wasClean = await node.stop()
        const how = wasClean ? 'stopped' : 'did not end in time and was killed'
        say(`${engine.name} ${String(node.index)} ${how}`)
      }),
    ),
  )
}

async function reset(options: EngineOptions): Promise<void> {
  const directory = options.directory ?? defaultDirectory(options.network ?? defaultNetwork)
  const names = options.names ?? []
  const what = names.length === 0 ? 'all engines' : names.join(', ')
  if (!(await confirm(`Delete the data of ${what} in ${directory}?`))) {
    say('Nothing was deleted.')
    return
  }
  const running = await attachEngines(options)
  await running.stop()
  if (names.length === 0) {
    await rm(directory, { recursive: true, force: true })
  } else {
    for (const engine of Object.values(running.engines)) {
      for (const node of engine.nodes) await rm(node.directory, { recursive: true, force: true })
      await rm(`${directory}/${engine.name}.formed`, { force: true })
    }
  }
  say(`Deleted the data of ${what}.`)
}

async function env(options: EngineOptions): Promise<void> {
  process.stdout.write(environmentOf(await attachEngines(options)))
}

const commands: Readonly<Record<string, (options: EngineOptions) => Promise<void>>> = {
  up,
  status,
  env,
  logs,
  stop,
  reset,
}

function explain(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(explain).join('\n')
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${explain(error.cause)}` : error.message
}

const [name = '', ...names] = positionals
const command = commands[name]
if (values.help) {
  process.stdout.write(usage)
} else if (command === undefined) {
  process.stderr.write(name === '' ? usage : `There is no command "${name}".\n\n${usage}`)
  process.exitCode = 2
} else {
  try {
    await command(readOptions(names))
  } catch (error) {
    say(explain(error))
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
