import { Command, CommanderError } from 'commander'
import { ConfigError, parseConfig, readYaml } from '../platform/config/load.ts'
import { Config, ServiceName } from '../compose/config.ts'
import { startEmbedded } from '../compose/embedded.ts'
import { startOne } from '../compose/split.ts'
import type { JobCommand } from './jobs/command.ts'

export interface ServeOptions {
  readonly config?: string
  readonly domain?: string
  readonly listen?: string
  readonly operatorListen?: string
  readonly data?: string
  readonly only?: string
}

/** What the process runs: stopped by a signal. */
export interface Running extends AsyncDisposable {
  /** Lines that tell a person what to do now. */
  readonly greeting: readonly string[]
  drain(): Promise<void>
}

/** Runs until SIGTERM or Ctrl-C; returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function run(args: readonly string[]): Promise<number> {
  const startedMs = performance.now()
  const program = new Command('tricord')
    .description("Tricord: a server for Wire's apps on plain machines")
    .option('--config <file>', 'YAML file; every setting has a default')
    .option('--domain <domain>', 'backend domain, part of every id (default: tricord.internal)')
    .option('--listen <host:port>', 'where clients come in (default: 127.0.0.1:8080)')
    .option(
      '--operator-listen <host:port>',
      'status, metrics and dev mailbox (default: 127.0.0.1:8081)',
    )
    .option('--data <folder>', 'the folder that holds everything (default: data)')
    .option('--only <service>', 'run one service of several processes (see docs/operating.md)')
    .enablePositionalOptions()
    .exitOverride()
    .action(async () => serve(program.opts<ServeOptions>(), startedMs))
  let exitCode = 0
  try {
    for (const job of await jobsNamedBy(args)) {
      const { jobCommand } = await import('./jobs/command.ts')
      const stop = new AbortController()
      void stopSignal().then(() => stop.abort(new Error('interrupted')))
      program.addCommand(
        jobCommand(job, (code) => (exitCode = code), stop.signal).copyInheritedSettings(program),
      )
    }
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`${sentence(error)}\n`)
    return error instanceof ConfigError ? 2 : 1
  }
}

/** Jobs are loaded only for who asks for one, or for help: a server starts without them. */
async function jobsNamedBy(args: readonly string[]): Promise<readonly JobCommand[]> {
  const isOption = (arg: string | undefined): boolean => arg === undefined || arg.startsWith('-')
  if (isOption(args[0]) && !args.includes('--help') && !args.includes('-h')) return []
  const { jobCommands } = await import('./jobs/all.ts')
  return jobCommands
}

/** Until SIGTERM or Ctrl-C. */
async function serve(options: ServeOptions, startedMs: number): Promise<void> {
  const running = await start(options)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`${running.greeting.join('\n')}\n\nReady in ${seconds} s.\n`)
  await stopSignal()
  process.stdout.write('\nStopping: sockets are told to reconnect, work in progress is finished.\n')
  await running.drain()
  await running[Symbol.asyncDispose]()
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('code' in error && error.code === 'EADDRINUSE') {
    return `${error.message}. Another program listens there; choose with --listen and --operator-listen.`
  }
  return error.message
}

async function start(options: ServeOptions): Promise<Running> {
  const { config: file, only, ...overrides } = options
  const read = await readYaml(file)
  const value = typeof read === 'object' && read !== null ? { ...read, ...overrides } : read
  const config = parseConfig(Config, value, file ?? 'the configuration')
  if (only === undefined) return startEmbedded(config)
  return startOne(parseConfig(ServiceName, only, '--only'), config)
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        // The second signal ends the process at once.
        process.once(signal, () => process.kill(process.pid, 'SIGKILL'))
        resolve()
      })
    }
  })
}
