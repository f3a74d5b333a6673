import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCatalogue } from '../../scripts/engines/catalogue.ts'
import { defaultCache, fetchPart } from '../../scripts/engines/fetch/fetch.ts'
import { endWithUs } from './spawned.ts'

export interface Front {
  readonly name: string
  /** On 127.0.0.1, where clients come in. */
  readonly port: number
  readonly balance: 'roundrobin' | 'leastconn'
  /** Asked of each server; anything but success takes it out. */
  readonly checkPath: string
  readonly servers: readonly {
    readonly name: string
    /** HOST:PORT. */
    readonly address: string
    /** Where the check is asked, when not there. */
    readonly checkPort?: number
  }[]
}

/** HAProxy as it stands in front of hosts, with short checks. */
export async function startHaproxy(fronts: readonly Front[]): Promise<AsyncDisposable> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const part = await fetchPart(await readCatalogue(), 'haproxy', { cache: defaultCache(), say })
  const folder = await mkdtemp(join(tmpdir(), 'tricord-haproxy-'))
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, `${head}\n${fronts.map(listen).join('\n')}`)
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  const child = spawn(join(part, 'usr/sbin/haproxy'), ['-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { LD_LIBRARY_PATH: join(part, 'usr/lib', triple) },
  })
  endWithUs(child)
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
    for (const { port } of fronts) await untilListening(port, () => child.exitCode)
  } catch (error) {
    await stop()
    throw new Error(`HAProxy does not listen. It said:\n${output}`, { cause: error })
  }
  return { [Symbol.asyncDispose]: stop }
}

const head = `global
  maxconn 8000

defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout queue 5s
  timeout tunnel 1h
  option redispatch
  retries 2
  retry-on conn-failure
`

const listen = ({ name, port, balance, checkPath, servers }: Front): string => `listen ${name}
  bind 127.0.0.1:${String(port)}
  balance ${balance}
  option httpchk GET ${checkPath}
${servers
  .map(({ name: server, address, checkPort }) => {
    const at = checkPort === undefined ? '' : ` port ${String(checkPort)}`
    return `  server ${server} ${address} check${at} inter 500 fastinter 200 fall 2 rise 1`
  })
  .join('\n')}
`

async function untilListening(port: number, exitCode: () => number | null): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    if (exitCode() !== null) throw new Error(`it ended with ${String(exitCode())}`)
    if (performance.now() > deadlineMs) throw new Error(`not within 20 s at port ${String(port)}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (isOpen) return
    await sleep(50)
  }
}
