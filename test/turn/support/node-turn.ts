import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { restCredentials, type Credentials } from './stun.ts'
import { claimPort } from '../../support/ports.ts'
import { startChild, waitUntil } from './server-child.ts'
import { answersBinding, type TurnServer, type TurnServerSettings } from './turn-server.ts'

/** The npm package `node-turn`, a peer in benchmarks only: UDP, users written into its options. */
export async function startNodeTurn(
  settings: TurnServerSettings & { readonly users?: number } = {},
): Promise<TurnServer> {
  const host = settings.host ?? '127.0.0.1'
  const port = await claimPort(host)
  const users: Credentials[] = Array.from({ length: settings.users ?? 100 }, (_, index) =>
    restCredentials('test-secret-do-not-use', `client-${String(index)}`),
  )
  const options = {
    listeningPort: port,
    listeningIps: [host],
    relayIps: [host],
    minPort: settings.relayPorts?.first ?? 5_000,
    maxPort: settings.relayPorts?.last ?? 9_999,
    authMech: 'long-term',
    realm: 'dummy.io',
    credentials: Object.fromEntries(users.map((user) => [user.username, user.password])),
    debugLevel: 'OFF',
  }
  const folder = await mkdtemp(join(tmpdir(), 'node-turn-'))
  const file = join(folder, 'options.json')
  await writeFile(file, JSON.stringify(options))
  const program = `const Turn = require('node-turn'); new Turn(require(process.argv[1])).start()`
  const child = startChild([process.execPath, '--eval', program, file], {
    cwd: import.meta.dirname,
    ...settings,
  })
  await waitUntil(child, () => answersBinding(host, port))
  return {
    name: 'node-turn',
    version: '0.0.6',
    host,
    port,
    tlsPort: 0,
    certificateFile: '',
    child,
    realm: 'dummy.io',
    secret: '',
    credentialsFor: (index) => users[index % users.length] ?? { username: '', password: '' },
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
