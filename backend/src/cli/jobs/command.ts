import { Command } from 'commander'
import { Config } from '../../compose/config.ts'
import { openJobEnvironment, type JobEnvironment } from '../../compose/jobs.ts'
import { parseConfig, readYaml } from '../../platform/config/load.ts'
import { JobRefused, type Job } from '../../platform/jobs/job.ts'
import { journalTable } from '../../platform/jobs/journal.ts'
import { runJob } from '../../platform/jobs/run-job.ts'

/** A job as a subcommand. */
export interface JobCommand {
  /** Wire's name of the job. */
  readonly name: string
  readonly description: string
  /** Besides `--config`, `--data` and `--again`: flags without values, such as `--contract`. */
  readonly flags?: readonly { readonly name: string; readonly description: string }[]
  /**
   * Opens the stores that the steps work on; they are closed with the environment.
   *
   * @param flags Names of the flags that were given.
   */
  prepare(
    environment: JobEnvironment,
    flags: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Job>
  /** Before the journal is opened, for the job that makes its table. */
  begin?(environment: JobEnvironment, signal: AbortSignal): Promise<void>
}

/** Exit codes as of every command: 0 done, 1 failed or interrupted, 2 wrong usage, 3 refused. */
export const exitRefused = 3

/**
 * @param finished Told the exit code.
 */
export function jobCommand(
  definition: JobCommand,
  finished: (exitCode: number) => void,
  signal: AbortSignal,
): Command {
  const command = new Command(definition.name)
    .description(definition.description)
    .option('--config <file>', 'YAML file; every setting has a default')
    .option('--data <folder>', 'the folder that holds everything (default: data)')
    .option('--again', 'do all steps from the beginning, also those that are done')
  for (const { name, description } of definition.flags ?? []) {
    command.option(`--${name}`, description)
  }
  return command.action(async (options: Readonly<Record<string, unknown>>) => {
    const file = typeof options['config'] === 'string' ? options['config'] : undefined
    const read = await readYaml(file)
    const data = options['data']
    const value =
      typeof read === 'object' && read !== null && data !== undefined ? { ...read, data } : read
    const config = parseConfig(Config, value, file ?? 'the configuration')
    const flags = new Set(
      (definition.flags ?? []).map(({ name }) => name).filter((name) => options[name] === true),
    )
    finished(await runOnce(definition, config, flags, options['again'] === true, signal))
  })
}

async function runOnce(
  definition: JobCommand,
  config: Config,
  flags: ReadonlySet<string>,
  isAgain: boolean,
  signal: AbortSignal,
): Promise<number> {
  const { name } = definition
  const report = (line: string): void => void process.stderr.write(`${name}: ${line}\n`)
  await using environment = await openJobEnvironment(config)
  try {
    await definition.begin?.(environment, signal)
    const db = await environment.stores.wideColumn()
    await db.open([journalTable])
    const job = await definition.prepare(environment, flags, signal)
    const { registry, platform, holder } = environment
    const { done, postponed } = await runJob(
      job,
      { registry, db, clock: platform.clock, holder, report },
      { signal, isAgain },
    )
    const left = postponed.length === 0 ? '' : `, ${postponed.length} left for later`
    process.stdout.write(
      done.length === 0
        ? `${name}: nothing to do${left}\n`
        : `${name}: ${done.length} done (${done.join(', ')})${left}\n`,
    )
    return 0
  } catch (error) {
    if (error instanceof JobRefused) {
      process.stderr.write(`${error.message}\n`)
      return exitRefused
    }
    if (signal.aborted) {
      process.stderr.write(`${name} was interrupted: the next run goes on from here\n`)
      return 1
    }
    throw error
  }
}
