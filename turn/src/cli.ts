import { once } from 'node:events'
import { Command, CommanderError } from 'commander'
import { ConfigError, readConfig, resolveAddresses } from './config.ts'
import {
  controlCommands,
  sendControl,
  serveControl,
  type ControlCommand,
} from './process/control.ts'
import { waitForBinding } from './process/ready.ts'
import { serveOperator } from './process/operator-server.ts'
import { startRelay, type Relay } from './process/supervisor.ts'
import { describeSettings } from './settings-text.ts'

/** How long `ready` waits. */
const readyMs = 30_000

/**
 * Runs a command; returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration. `early`
 * are signals that came before.
 */
export async function run(
  args: readonly string[],
  early: ReadonlySet<string> = new Set(),
): Promise<number> {
  const program = new Command('turn')
    .description(
      'A TURN relay for calls (RFC 8656). SIGHUP reads the files again, SIGUSR1 drains, SIGTERM stops.',
    )
    .option('--config <file>', 'YAML file; turn/turn.example.yaml shows how')
    .option('--check', 'only say whether the file is right')
    .option('--settings', 'list every setting with its default')
    .argument(
      '[command]',
      `ready (waits until the relay answers), or to one that runs: ${controlCommands.join(', ')}`,
    )
    .exitOverride()
  try {
    program.parse([...args], { from: 'user' })
    const options = program.opts<{ config?: string; check?: true; settings?: true }>()
    const [command] = program.args
    if (options.settings === true) {
      process.stdout.write(describeSettings())
      return 0
    }
    if (options.config === undefined) {
      process.stderr.write('--config <file> is needed; --help tells more\n')
      return 2
    }
    if (options.check === true) {
      await readConfig(options.config)
      process.stdout.write(`${options.config} is right\n`)
      return 0
    }
    if (command === 'ready') return await waitUntilReady(options.config)
    if (command !== undefined) return await sendCommand(command, options.config)
    await serve(options.config, early)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof ConfigError ? 2 : 1
  }
}

/** For whatever starts the relay and must know when it serves. */
async function waitUntilReady(path: string): Promise<number> {
  const config = await readConfig(path)
  const { udpPort } = config.listen
  const [address] = resolveAddresses(config, path).listen
  if (udpPort === 'off' || udpPort === 0 || address === undefined) {
    throw new ConfigError(path, ['listen.udpPort: must be a number to be asked'])
  }
  if (await waitForBinding({ address, port: udpPort }, readyMs)) return 0
  process.stderr.write(`nothing answers at ${address}, UDP port ${String(udpPort)}\n`)
  return 1
}

async function sendCommand(name: string, path: string): Promise<number> {
  const command: ControlCommand | undefined = controlCommands.find((known) => known === name)
  if (command === undefined) {
    process.stderr.write(`"${name}" is none of the commands ready, ${controlCommands.join(', ')}\n`)
    return 2
  }
  const { controlSocket } = await readConfig(path)
  if (controlSocket === undefined) {
    throw new ConfigError(path, ['controlSocket: is needed to command a relay that runs'])
  }
  const reply = await sendControl(controlSocket, command)
  process.stdout.write(`${reply}\n`)
  return reply.includes('"error"') ? 3 : 0
}

/** Runs until SIGTERM, Ctrl-C or the end of a drain. */
async function serve(path: string, early: ReadonlySet<string>): Promise<void> {
  // Before anything else, for Node answers SIGUSR1 with its debugger while nobody listens.
  const stop = new AbortController()
  let running: Relay | undefined
  let isDrainAsked = early.has('SIGUSR1')
  let isReloadAsked = early.has('SIGHUP')
  const reload = (relay: Relay): void => {
    relay.reload().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      relay.log.error({ reason }, 'nothing was reloaded')
    })
  }
  const handlers = {
    SIGTERM: () => stop.abort(),
    SIGINT: () => stop.abort(),
    SIGUSR1() {
      isDrainAsked = true
      running?.drain()
    },
    SIGHUP() {
      // Before the start is over, the files may have been read already.
      if (running === undefined) isReloadAsked = true
      else reload(running)
    },
  } as const
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler)

  try {
    await using relay = await startRelay(path, stop.signal)
    const { log, config } = relay
    await using stack = new AsyncDisposableStack()
    if (config.metrics !== 'off') {
      const operator = stack.use(await serveOperator(config.metrics, relay))
      log.info({ address: config.metrics.address, port: operator.port }, 'serving figures')
    }
    if (config.controlSocket !== undefined) {
      stack.use(await serveControl(config.controlSocket, relay))
    }
    running = relay
    log.info({ processes: relay.processes() }, 'ready')
    if (isDrainAsked) relay.drain()
    if (isReloadAsked) reload(relay)
    await Promise.race([aborted(stop.signal), relay.ended])
    log.info({}, 'stopping')
  } catch (error) {
    // Told to stop before it was ready.
    if (error !== stop.signal.reason) throw error
  } finally {
    running = undefined
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler)
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
