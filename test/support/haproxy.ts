import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCatalogue } from '../../scripts/engines/catalogue.ts'
import { defaultCache, fetchPart } from '../../scripts/engines/fetch/fetch.ts'

/** One process behind the balancer. */
export interface BalancedServer {
  readonly name: string
  readonly port: number
  /** Where `/i/status` tells whether it is ready. */
  readonly statusPort: number
}

export interface Balanced {
  /** Where clients come in. */
  readonly port: number
  readonly servers: readonly BalancedServer[]
}

/** HAProxy as it stands in front of hosts: short checks, one frontend for the API, one for sockets. */
export async function startHaproxy(fronts: {
  readonly api: Balanced
  readonly sockets: Balanced
}): Promise<AsyncDisposable> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const part = await fetchPart(await readCatalogue(), 'haproxy', { cache: defaultCache(), say })
  const folder = await mkdtemp(join(tmpdir(), 'tricord-haproxy-'))
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, configuration(fronts))
  const child = spawn(join(part, 'usr/sbin/haproxy'), ['-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { LD_LIBRARY_PATH: join(part, 'usr/lib', `${triple()}-linux-gnu`) },
  })
  let output = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    output = (output + text).slice(-16 * 1024)
  })
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exit
    await rm(folder, { recursive: true, force: true })
  }
  try {
    for (const { port } of Object.values(fronts)) await listens(port, () => child.exitCode)
  } catch (error) {
    await stop()
    throw new Error(`HAProxy does not listen. It said:\n${output}`, { cause: error })
  }
  return { [Symbol.asyncDispose]: stop }
}

const triple = (): string => (process.arch === 'arm64' ? 'aarch64' : 'x86_64')

function configuration({ api, sockets }: { api: Balanced; sockets: Balanced }): string {
  const servers = (of: Balanced, more: string): string =>
    of.servers
      .map(
        ({ name, port, statusPort }) =>
          `  server ${name} 127.0.0.1:${String(port)} check port ${String(statusPort)} ` +
          `inter 500 fastinter 200 fall 2 rise 1 ${more}`,
      )
      .join('\n')
  return `global
  maxconn 8000

defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout queue 5s
  timeout tunnel 1h
  option httpchk GET /i/status
  option redispatch
  retries 2
  retry-on conn-failure

listen api
  bind 127.0.0.1:${String(api.port)}
  balance roundrobin
${servers(api, 'observe layer4 error-limit 2 on-error mark-down')}

listen sockets
  bind 127.0.0.1:${String(sockets.port)}
  balance leastconn
${servers(sockets, '')}
`
}

async function listens(port: number, exitCode: () => number | null): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  for (;;) {
    if (exitCode() !== null) throw new Error(`it ended with ${String(exitCode())}`)
    if (performance.now() > deadlineMs) throw new Error(`not within 10 s at port ${String(port)}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await sleep(50)
  }
}
