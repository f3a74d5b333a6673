import { Command, CommanderError } from 'commander'
import { assembleServer } from './assemble.ts'
import { systemClock } from './clock.ts'
import { ConfigError, readConfig, resolveAddresses } from './config.ts'
import { dgramRelays, listenDgram, type DgramListener } from './io/dgram.ts'
import { createLogger } from './log.ts'
import { readNonceKey, readSecrets } from './secrets.ts'
import type { RelayServer } from './server.ts'
import { formatIp, parseIp } from './wire/ip.ts'

/** Runs a command; returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration. */
export async function run(args: readonly string[]): Promise<number> {
  const program = new Command('turn')
    .description('A TURN relay for calls (RFC 8656)')
    .requiredOption('--config <file>', 'YAML file; turn.example.yaml shows how')
    .exitOverride()
  try {
    program.parse([...args], { from: 'user' })
    await serve(program.opts<{ config: string }>().config)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof ConfigError ? 2 : 1
  }
}

async function serve(path: string): Promise<void> {
  const config = await readConfig(path)
  const addresses = resolveAddresses(config, path)
  const secrets = await readSecrets(config, path)
  const key = await readNonceKey(config, path)
  const log = createLogger(config.log, { worker: 0 })
  let server: RelayServer
  const sockets = dgramRelays(() => server)
  const assembled = assembleServer(
    { config, addresses, secrets, key },
    { share: { index: 0, count: 1 }, sockets, clock: systemClock(), log },
  )
  server = assembled.server
  const { udpPort } = config.listen
  const listeners: DgramListener[] = []
  if (udpPort !== 'off') {
    addresses.listen.forEach((address, listener) => {
      const ip = parseIp(address)
      if (ip === undefined) return
      const opened = listenDgram({ ip, port: udpPort }, listener, server)
      listeners.push(opened)
      const { endpoint } = opened
      log.info(
        { transport: 'UDP', address: formatIp(endpoint.ip), port: endpoint.port },
        'listening',
      )
    })
  }
  const timer = setInterval(() => server.tick(), 1000)
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
  clearInterval(timer)
  for (const listener of listeners) await listener[Symbol.asyncDispose]()
  server.endAll('relay stops')
}
