/** One node of one engine: start, end, kill, freeze. */
import { access, mkdir, open, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Engine, EngineNode } from './engine.ts'
import {
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
  /** SIGSTOP. */
  freeze: () => Promise<void>
  /** SIGCONT. */
  thaw: () => Promise<void>
}

const probeLimitMs = 2000
const startLimitMs = 240_000

export function runningNode(engine: Engine, cluster: Cluster, node: EngineNode): RunningNode {
  const identityFile = join(node.directory, 'process')
  const log = join(node.directory, 'log')
  const address = engine.clientAddress(cluster, node)
  const label = `${cluster.name} ${String(node.index)}`

  const identity = (): Promise<ProcessIdentity | undefined> => readIdentity(identityFile)

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
      await writeFile(path, file.text, { mode: file.mode ?? 0o644 })
    }
  }

  return {
    index: node.index,
    address,
    directory: node.directory,
    log,
    state: async () => processState(await identity()),
    isHealthy,
    residentBytes: async () => residentBytes(await identity()),
    async start(options = {}) {
      const before = await identity()
      const state = await processState(before)
      if (state === 'frozen') await signalProcess(before, 'SIGCONT')
      if (state === 'stopped') {
        if (await accepts(address)) {
          throw new Error(
            `${label} cannot start: another program listens at ${address}. End it, or choose another --network`,
          )
        }
        await prepareFolder()
        await startDetached(engine.command(cluster, node), {
          identity: identityFile,
          log,
          cwd: node.directory,
        })
      }
      await untilHealthy(options.limitMs ?? startLimitMs, options.signal)
    },
    async stop() {
      const found = await identity()
      // A frozen process would not hear of it.
      await signalProcess(found, 'SIGCONT')
      await signalProcess(found, 'SIGTERM')
      if (await untilGone(found, engine.stopLimitMs)) return true
      await signalProcess(found, 'SIGKILL')
      await untilGone(found, 10_000)
      return false
    },
    async kill() {
      const found = await identity()
      await signalProcess(found, 'SIGKILL')
      if (!(await untilGone(found, 10_000))) throw new Error(`${label} survives SIGKILL`)
    },
    async freeze() {
      await signalProcess(await identity(), 'SIGSTOP')
    },
    async thaw() {
      await signalProcess(await identity(), 'SIGCONT')
    },
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
