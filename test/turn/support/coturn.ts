import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { startChild, waitUntil } from './server-child.ts'
import { claimPort } from '../../support/ports.ts'
import { restCredentials } from './stun.ts'
import { answersBinding, type TurnServer, type TurnServerSettings } from './turn-server.ts'

export const hasCoturn = existsSync('/usr/bin/turnserver')

/** Debian's coturn as a peer: TURN REST credentials, loopback peers allowed. */
export async function startCoturn(settings: TurnServerSettings = {}): Promise<TurnServer> {
  const host = settings.host ?? '127.0.0.1'
  const folder = await mkdtemp(join(tmpdir(), 'coturn-'))
  const certificate = await makeCertificate(folder, host)
  const [port, tlsPort] = [await claimPort(host), await claimPort(host)]
  const secret = 'test-secret-do-not-use'
  const { first, last } = settings.relayPorts ?? { first: 10_000, last: 19_999 }
  const child = startChild(
    [
      'turnserver',
      '-n',
      '--no-cli',
      '--no-dtls',
      '--no-tcp-relay',
      '--no-rfc5780',
      '--no-software-attribute',
      '--no-stun-backward-compatibility',
      '--allow-loopback-peers',
      '--simple-log',
      '--log-file=stdout',
      '--use-auth-secret',
      `--static-auth-secret=${secret}`,
      '--realm=dummy.io',
      '--stale-nonce=600',
      `--listening-port=${String(port)}`,
      `--tls-listening-port=${String(tlsPort)}`,
      `--cert=${certificate.certificateFile}`,
      `--pkey=${certificate.keyFile}`,
      `--min-port=${String(first)}`,
      `--max-port=${String(last)}`,
      `--relay-threads=${String(settings.threads ?? 1)}`,
      `--userdb=${join(folder, 'turndb')}`,
      `--pidfile=${join(folder, 'pid')}`,
      ...[host, ...(settings.moreHosts ?? [])].flatMap((each) => [
        `--listening-ip=${each}`,
        `--relay-ip=${each}`,
      ]),
      ...(settings.flags ?? []),
    ],
    settings,
  )
  await waitUntil(child, () => answersBinding(host, port))
  return {
    name: 'coturn',
    version: coturnVersion(),
    host,
    port,
    tlsPort,
    certificateFile: certificate.certificateFile,
    child,
    realm: 'dummy.io',
    secret,
    credentialsFor: (index) => restCredentials(secret, `client-${String(index)}`),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function coturnVersion(): string {
  const query = ['-W', '-f', '${Version}', 'coturn']
  return execFileSync('dpkg-query', query, { encoding: 'utf8' })
}
