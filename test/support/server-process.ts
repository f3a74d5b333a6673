import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { claimPorts } from './ports.ts'
import { endWithUs } from './spawned.ts'

/** A server in a process of its own, as an operator starts it. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  /** Where other services come in, when this process is one of several. */
  readonly internalUrl: string
  /** The operator's listener: status, metrics, dev mailbox. */
  readonly mailboxUrl: string
  readonly data: string
  readonly pid: number
  /** Milliseconds from the start of the process until it said that it is ready. */
  readonly readyMs: number
  /** What it printed so far. */
  output(): string
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>
  kill(signal: NodeJS.Signals): void
}

export interface ListenerPorts {
  readonly listen: number
  readonly internal: number
  readonly operator: number
}

export interface ServerProcessOptions {
  /** Kept when given, else a temporary folder that is removed at the end. */
  readonly data?: string
  readonly ports?: ListenerPorts
  /** Settings beyond the defaults; limits are raised unless said otherwise. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly nodeOptions?: readonly string[]
  /** The program to run, from the repository's root. */
  readonly entry?: string
  readonly args?: readonly string[]
  /** 30 s unless given. */
  readonly readyTimeoutMs?: number
}

/** No test meets the limits by accident; the suite that tests them uses the defaults. */
export const raisedLimits = {
  nginz: {
    limits: Object.fromEntries(
      ['user', 'address', 'login', 'register', 'codes'].map((zone) => [
        zone,
        { perSecond: 100_000, burst: 100_000 },
      ]),
    ),
  },
  brig: {
    passwords: {
      perUser: { perSecond: 10_000, burst: 10_000 },
      perAddress: { perSecond: 10_000, burst: 10_000 },
    },
  },
} as const

const root = join(import.meta.dirname, '../..')

/** Ports for the listeners of each of the named processes. */
export async function freeListenerPorts<Name extends string>(
  names: readonly Name[],
): Promise<Record<Name, ListenerPorts>> {
  const ports = await claimPorts(3 * names.length)
  const entries = names.map((name, index) => {
    const [listen = 0, internal = 0, operator = 0] = ports.slice(3 * index)
    return [name, { listen, internal, operator }] as const
  })
  return Object.fromEntries(entries) as Record<Name, ListenerPorts>
}

export async function startServerProcess(
  options: ServerProcessOptions = {},
): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-'))
  const data = options.data ?? join(folder, 'data')
  await mkdir(data, { recursive: true })
  const { listen, internal, operator } =
    options.ports ?? (await freeListenerPorts(['server'])).server
  const file = join(folder, 'tricord.yaml')
  await writeFile(
    file,
    stringify({
      listen: `127.0.0.1:${String(listen)}`,
      internalListen: `127.0.0.1:${String(internal)}`,
      operatorListen: `127.0.0.1:${String(operator)}`,
      data,
      log: { level: 'warn' },
      ...raisedLimits,
      ...options.config,
    }),
  )
  const startedMs = performance.now()
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      ...(options.nodeOptions ?? []),
      options.entry ?? 'backend/src/main.mjs',
      '--config',
      file,
      ...(options.args ?? []),
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  endWithUs(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output = (output + text).slice(-64 * 1024)
    })
  }
  const exit = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  await isReady(child, () => output, exit, options.readyTimeoutMs ?? 30_000)
  return {
    url: `http://127.0.0.1:${String(listen)}`,
    internalUrl: `http://127.0.0.1:${String(internal)}`,
    mailboxUrl: `http://127.0.0.1:${String(operator)}`,
    data,
    pid: child.pid ?? -1,
    readyMs: performance.now() - startedMs,
    output: () => output,
    exit,
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(late)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function isReady(
  child: ChildProcess,
  output: () => string,
  exit: Promise<number | string>,
  timeoutMs: number,
): Promise<void> {
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', () => {
      if (output().includes('Ready')) resolve()
    })
  })
  const ended = exit.then((code) => {
    throw new Error(`the server ended with ${String(code)} before it was ready:\n${output()}`)
  })
  const late = AbortSignal.timeout(timeoutMs)
  const timeout = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () =>
      reject(new Error(`the server was not ready in time:\n${output()}`)),
    )
  })
  await Promise.race([ready, ended, timeout])
}

/** Resident memory of a process, in bytes (Linux). */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8')
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status)
  if (match === null) throw new Error('no VmRSS')
  return Number(match[1]) * 1024
}
