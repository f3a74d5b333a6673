/** Where things lie: which address a node has, which folder. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { EngineName, EngineNode } from './engine.ts'

/** The developer's engines; tests choose networks of their own. */
export const defaultNetwork = '127.77.0'

/** The first three numbers of a loopback network, as `127.77.0`. */
export function checkNetwork(network: string): string {
  const numbers = network.split('.')
  const isGood =
    numbers.length === 3 &&
    numbers[0] === '127' &&
    numbers.every((one) => /^(0|[1-9]\d{0,2})$/.test(one) && Number(one) <= 255)
  if (!isGood) throw new Error(`"${network}" is not a loopback network like ${defaultNetwork}`)
  return network
}

export function defaultDirectory(network: string): string {
  const base = process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local/state')
  return join(base, 'tricord/engines', network)
}

export function nodesOf(
  name: EngineName,
  options: { network: string; directory: string; nodes: number },
): EngineNode[] {
  return Array.from({ length: options.nodes }, (_, at) => ({
    index: at + 1,
    address: `${options.network}.${String(at + 1)}`,
    directory: join(options.directory, `${name}${String(at + 1)}`),
  }))
}
