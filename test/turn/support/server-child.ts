/** A program under test in a process of its own, its output kept, its whole tree measured. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ServerChild extends AsyncDisposable {
  readonly pid: number
  /** What it printed, the newest 256 KiB. */
  output(): string
  readonly exit: Promise<number | string>
  hasEnded(): boolean
  kill(signal: NodeJS.Signals): void
}

export interface ChildSettings {
  /** Pins the whole tree to one core. */
  readonly core?: number
  /** As of `nice`; below 0 for root alone. */
  readonly nice?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export function startChild(
  command: readonly string[],
  { core, nice, env, cwd }: ChildSettings = {},
): ServerChild {
  const [file = '', ...args] = [
    ...(nice === undefined ? [] : atNice(nice)),
    ...(core === undefined ? [] : ['taskset', '-c', String(core)]),
    ...command,
  ]
  const child: ChildProcess = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  let output = ''
  let isEnded = false
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      output = (output + text).slice(-256 * 1024)
    })
  }
  const exit = new Promise<number | string>((resolve) => {
    child.once('error', (error) => {
      output += String(error)
      isEnded = true
      resolve(127)
    })
    child.once('exit', (code, signal) => {
      isEnded = true
      resolve(code ?? signal ?? 'unknown')
    })
  })
  return {
    pid: child.pid ?? -1,
    output: () => output,
    exit,
    hasEnded: () => isEnded,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (isEnded) return
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 5000)
      await exit
      clearTimeout(late)
    },
  }
}

/**
 * A session of its own first: Linux may share the cores out among sessions, and `nice` counts within
 * one alone. What the kernel does not have or grant is left out.
 */
function atNice(nice: number): string[] {
  const own = `{ echo ${String(nice)} > /proc/self/autogroup; } 2>/dev/null; exec "$@"`
  return ['setsid', 'sh', '-c', own, 'sh', 'nice', '-n', String(nice)]
}

/**
 * Waits until `isTrue` holds. When the child ends before, or `seconds` pass, it is ended and the
 * error has what it printed.
 */
export async function waitUntil(
  child: ServerChild,
  isTrue: () => Promise<boolean> | boolean,
  seconds = 60,
): Promise<void> {
  const endMs = performance.now() + seconds * 1000
  while (!(await isTrue())) {
    const isLate = performance.now() > endMs
    if (isLate || child.hasEnded()) {
      await child[Symbol.asyncDispose]()
      const why = isLate ? 'was not ready' : `ended with ${String(await child.exit)}`
      throw new Error(`${why}:\n${child.output()}`)
    }
    await sleep(50)
  }
}

/** A process and all its descendants. */
export async function processTree(root: number): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const tree = [root]
  for (const member of tree) {
    for (const [pid, parent] of parents) if (parent === member) tree.push(pid)
  }
  return tree
}

/** CPU time of all threads of a tree so far, in microseconds. */
export async function cpuMicroseconds(pids: readonly number[]): Promise<number> {
  let sum = 0
  for (const pid of pids) {
    const tasks = await readdir(`/proc/${String(pid)}/task`).catch(() => [])
    for (const task of tasks) {
      const file = `/proc/${String(pid)}/task/${task}/schedstat`
      const [nanoseconds = '0'] = (await readFile(file, 'latin1').catch(() => '')).split(' ')
      sum += Number(nanoseconds) / 1000
    }
  }
  return sum
}

async function statusNumber(pids: readonly number[], key: string): Promise<number> {
  let sum = 0
  for (const pid of pids) {
    const status = await readFile(`/proc/${String(pid)}/status`, 'latin1').catch(() => '')
    sum += Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  }
  return sum
}

export const residentKilobytes = (pids: readonly number[]): Promise<number> =>
  statusNumber(pids, 'VmRSS')

export const threadCount = (pids: readonly number[]): Promise<number> =>
  statusNumber(pids, 'Threads')

/** Open file descriptors of a tree. */
export async function openFiles(pids: readonly number[]): Promise<number> {
  let sum = 0
  for (const pid of pids) {
    sum += (await readdir(`/proc/${String(pid)}/fd`).catch(() => [])).length
  }
  return sum
}
