/** One node of one engine: start, end, kill, freeze. */
import { access, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Engine, EngineNode } from './engine.ts'
import {
  type Command,
  type ProcessIdentity,
  type ProcessState,
  processState,
  readIdentity,
  residentBytes,
  signalProcess,
  startDetached,
  untilGone,
} from './process.ts'

export interface RunningNode {
  readonly index: number
  /** HOST:PORT for clients. */
  readonly address: string
  readonly directory: string
  readonly log: string
  state: () => Promise<ProcessState>
  /** Whether it answers a client now; asks for at most two seconds. */
  isHealthy: () => Promise<boolean>
  residentBytes: () => Promise<number>
  /** Starts the process if it is not there and resolves when it answers. */
  start: (options?: { limitMs?: number; signal?: AbortSignal | undefined }) => Promise<void>
  /** A clean end, or SIGKILL when that takes too long: then resolves with false. */
  stop: () => Promise<boolean>
  /** SIGKILL; resolves when the process is gone. */
  kill: () => Promise<void>
  /** SIGSTOP; resolves when it has stopped. Throws if it does not run. */
  freeze: () => Promise<void>
  /** SIGCONT; resolves when it goes on. */
  thaw: () => Promise<void>
}

const probeLimitMs = 2000
const startLimitMs = 300_000
const killLimitMs = 10_000

export function runningNode(engine: Engine, cluster: Cluster, node: EngineNode): RunningNode {
  const mainFile = join(node.directory, 'process')
  const frontFile = join(node.directory, 'front-process')
  const log = join(node.directory, 'log')
  const address = engine.clientAddress(cluster, node)
  const label = `${cluster.name} ${String(node.index)}`

  const identity = (): Promise<ProcessIdentity | undefined> => readIdentity(mainFile)
  const identities = (): Promise<(ProcessIdentity | undefined)[]> =>
    Promise.all([readIdentity(frontFile), identity()])
  const signalAll = async (signal: NodeJS.Signals): Promise<void> => {
    for (const one of await identities()) await signalProcess(one, signal)
  }

  /** A signal takes a moment to reach all threads. */
  async function untilState(state: ProcessState): Promise<void> {
    const deadlineMs = performance.now() + killLimitMs
    while ((await processState(await identity())) !== state) {
      if (performance.now() > deadlineMs) throw new Error(`${label} is not ${state}`)
      await sleep(5)
    }
  }

  function isHealthy(): Promise<boolean> {
    return engine.isHealthy(cluster, node, AbortSignal.timeout(probeLimitMs))
  }

  async function untilHealthy(limitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const deadlineMs = performance.now() + limitMs
    while (!(await isHealthy())) {
      signal?.throwIfAborted()
      if ((await processState(await identity())) === 'stopped') {
        throw new Error(`${label} ended while it started. The end of ${log}:\n${await tail(log)}`)
      }
      if (performance.now() > deadlineMs) {
        throw new Error(
          `${label} did not answer at ${address} within ${String(limitMs / 1000)} s. ` +
            `The end of ${log}:\n${await tail(log)}`,
        )
      }
      await sleep(150)
    }
  }

  async function prepareFolder(): Promise<void> {
    for (const folder of ['', ...engine.folders]) {
      await mkdir(join(node.directory, folder), { recursive: true })
    }
    for (const file of engine.files(cluster, node)) {
      const path = join(node.directory, file.path)
      if (file.once === true && (await isThere(path))) continue
      // Renamed into place: nodes that share a file may be starting at the same moment.
      const unfinished = `${path}.${String(node.index)}`
      const content =
        typeof file.content === 'string' ? file.content : await readFile(file.content.copyOf)
      await writeFile(unfinished, content, { mode: file.mode ?? 0o644 })
      await rename(unfinished, path)
    }
  }

  return {
    index: node.index,
    address,
    directory: node.directory,
    log,
    state: async () => processState(await identity()),
    isHealthy,
    async residentBytes() {
      const sizes = await Promise.all((await identities()).map(residentBytes))
      return sizes.reduce((sum, size) => sum + size, 0)
    },
    async start(options = {}) {
      const before = await identity()
      const state = await processState(before)
      if (state === 'frozen') await signalAll('SIGCONT')
      if (state === 'stopped') {
        await signalProcess(await readIdentity(frontFile), 'SIGKILL')
        await untilGone(await readIdentity(frontFile), killLimitMs)
        if (await accepts(address)) {
          throw new Error(
            `${label} cannot start: another program listens at ${address}. End it, or choose another --network`,
          )
        }
        await prepareFolder()
        const command = engine.command(cluster, node)
        await startDetached(engine.isUnprivileged === true ? asSomebodyElse(command) : command, {
          identity: mainFile,
          log,
          cwd: node.directory,
        })
      }
      const front = engine.front?.(cluster, node)
      const frontState = await processState(await readIdentity(frontFile))
      if (front !== undefined && frontState === 'stopped') {
        await startDetached(front, { identity: frontFile, log, cwd: node.directory })
      }
      await untilHealthy(options.limitMs ?? startLimitMs, options.signal)
    },
    async stop() {
      // A frozen process would not hear of its end.
      await signalAll('SIGCONT')
      await signalAll('SIGTERM')
      const found = await identities()
      const ends = await Promise.all(found.map((one) => untilGone(one, engine.stopLimitMs)))
      if (ends.every(Boolean)) return true
      await signalAll('SIGKILL')
      await Promise.all(found.map((one) => untilGone(one, killLimitMs)))
      return false
    },
    async kill() {
      await signalAll('SIGKILL')
      const found = await identities()
      const ends = await Promise.all(found.map((one) => untilGone(one, killLimitMs)))
      if (!ends.every(Boolean)) throw new Error(`${label} survives SIGKILL`)
    },
    async freeze() {
      await signalAll('SIGSTOP')
      await untilState('frozen')
    },
    async thaw() {
      await signalAll('SIGCONT')
      await untilState('running')
    },
  }
}

/**
 * As root: the same command in a user namespace where root is called nobody. It owns what root owns,
 * so cache and data may lie anywhere, and has none of root's rights otherwise.
 */
function asSomebodyElse(command: Command): Command {
  if (process.getuid?.() !== 0) return command
  return {
    ...command,
    program: 'unshare',
    args: ['--user', '--map-user=65534', '--map-group=65534', command.program, ...command.args],
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function accepts(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':')
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** The last lines of a file, at most 4 KB; empty if there is none. */
export async function tail(file: string, lines = 12): Promise<string> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    const length = Math.min(size, Math.max(4096, lines * 200))
    const buffer = Buffer.alloc(length)
    await handle.read(buffer, 0, length, size - length)
    return buffer.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return ''
  }
}
