/**
 * Long-lived processes that outlast the command that started them. Who a process is, is written down
 * as its id, its start time and the boot it belongs to, so that a recycled id is never signalled.
 */
import { spawn } from 'node:child_process'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessIdentity {
  pid: number
  /** Clock ticks between boot and the start of the process: field 22 of /proc/PID/stat. */
  startTicks: string
  bootId: string
}

/** Two lines: the boot, and /proc/PID/stat. `undefined` for anything else, such as a torn file. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const [bootId = '', line = ''] = text.split('\n')
  const stats = parseStat(line)
  return bootId === '' || stats === undefined
    ? undefined
    : { pid: stats.pid, startTicks: stats.startTicks, bootId }
}

export function parseStat(
  line: string,
): { pid: number; state: string; startTicks: string } | undefined {
  // The second field is a name in parentheses that may itself hold spaces and parentheses.
  const match = /^(\d+) \(.*\) (.*)$/s.exec(line)
  const fields = match?.[2]?.trim().split(' ') ?? []
  const [state] = fields
  const startTicks = fields[19]
  return match === null || state === undefined || startTicks === undefined
    ? undefined
    : { pid: Number(match[1]), state, startTicks }
}

/** The state letter of the process if it is still the same one and not a zombie. */
async function liveState(identity: ProcessIdentity): Promise<string | undefined> {
  const stats = parseStat(
    await readFile(`/proc/${String(identity.pid)}/stat`, 'utf8').catch(() => ''),
  )
  if (stats === undefined || stats.startTicks !== identity.startTicks || stats.state === 'Z') {
    return undefined
  }
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  return bootId.trim() === identity.bootId ? stats.state : undefined
}

export async function identityOfSelf(): Promise<string> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  return `${bootId.trim()}\n${await readFile('/proc/self/stat', 'utf8')}`
}

export type ProcessState = 'running' | 'frozen' | 'stopped'

export async function processState(identity: ProcessIdentity | undefined): Promise<ProcessState> {
  const state = identity === undefined ? undefined : await liveState(identity)
  if (state === undefined) return 'stopped'
  return state === 'T' ? 'frozen' : 'running'
}

/** Resident memory in bytes, 0 if the process is gone. */
export async function residentBytes(identity: ProcessIdentity | undefined): Promise<number> {
  if (identity === undefined || (await liveState(identity)) === undefined) return 0
  const text = await readFile(`/proc/${String(identity.pid)}/status`, 'utf8').catch(() => '')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}

export async function readIdentity(file: string): Promise<ProcessIdentity | undefined> {
  return parseIdentity(await readFile(file, 'utf8').catch(() => ''))
}

export interface Command {
  program: string
  args: readonly string[]
  env?: Readonly<Record<string, string>>
  /** How late its threads may wake from a sleep, so that those that sleep for microseconds wake less often. */
  timerSlackNs?: number
}

/** The shell writes down who it is and then becomes the program: there is no moment in between. */
const becomeProgram = `
echo "$1" > /proc/$$/timerslack_ns
shift
read -r boot < /proc/sys/kernel/random/boot_id
read -r self < /proc/$$/stat
printf '%s\\n%s\\n' "$boot" "$self" > "$0"
exec "$@"
`

const logLimitBytes = 16 * 1024 * 1024

/** Starts the program in a session of its own. Its output is added to `log`. */
export async function startDetached(
  command: Command,
  files: { identity: string; log: string; cwd: string },
): Promise<ProcessIdentity> {
  await rm(files.identity, { force: true })
  const size = await stat(files.log).then(
    (found) => found.size,
    () => 0,
  )
  if (size > logLimitBytes) await rename(files.log, `${files.log}.1`)
  const log = await open(files.log, 'a')
  try {
    const child = spawn(
      '/bin/sh',
      [
        '-c',
        becomeProgram,
        files.identity,
        // 0 is what the kernel does by itself.
        String(command.timerSlackNs ?? 0),
        command.program,
        ...command.args,
      ],
      {
        cwd: files.cwd,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: process.env['PATH'], HOME: files.cwd, LANG: 'C.UTF-8', ...command.env },
      },
    )
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', reject)
    })
    child.unref()
    const written = async (): Promise<ProcessIdentity> => {
      for (let tries = 0; tries < 1000; tries += 1) {
        const identity = await readIdentity(files.identity)
        if (identity !== undefined) return identity
        await sleep(5)
      }
      throw new Error(`${command.program} did not start; see ${files.log}`)
    }
    return await Promise.race([written(), failed])
  } finally {
    await log.close()
  }
}

/** False if the process is gone already. */
export async function signalProcess(
  identity: ProcessIdentity | undefined,
  signal: NodeJS.Signals,
): Promise<boolean> {
  if (identity === undefined || (await liveState(identity)) === undefined) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Resolves with whether the process was gone before the time was up. */
export async function untilGone(
  identity: ProcessIdentity | undefined,
  limitMs: number,
): Promise<boolean> {
  if (identity === undefined) return true
  const deadlineMs = performance.now() + limitMs
  while ((await liveState(identity)) !== undefined) {
    if (performance.now() > deadlineMs) return false
    await sleep(20)
  }
  return true
}
