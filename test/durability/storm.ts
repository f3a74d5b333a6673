import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import {
  freeListenerPorts,
  startServerProcess,
  type ServerProcess,
} from '../support/server-process.ts'
import { gatherCrowd } from './crowd.ts'
import { recordHistory } from './history.ts'
import { randomNumbers } from './random.ts'
import { judge, keep } from './verdict.ts'

/** One run of the server's process, and how it ends. */
export interface Life {
  /** What its clock shows beyond the host's. */
  readonly clockOffsetMs: number
  /** Whether its clock shows the right time now and then. */
  readonly isJumping?: boolean
  /** It is stopped for so long before the end, and goes on. */
  readonly freezeMs?: number
  readonly end: LifeEnd
}

export type LifeEnd =
  /** SIGKILL, so long after the server is ready. */
  | { readonly kind: 'kill'; readonly afterMs: number }
  /** SIGKILL by its own hand, when it passes a step for the n-th time. */
  | { readonly kind: 'step'; readonly step: string; readonly count: number }
  /** SIGTERM, so long after the server is ready. */
  | { readonly kind: 'stop'; readonly afterMs: number }

export interface Storm {
  readonly seed: number
  /** One after another; a last, undisturbed one follows. */
  readonly lives: readonly Life[]
}

/** A step that is not passed by then will not be. */
const stepTimeoutMs = 8_000

/** Beyond the defaults. */
export const serverConfig = {
  log: { level: 'error' },
  cannon: { consumableNotifications: true, drain: { graceSeconds: 0.3 } },
} as const

/**
 * People write to one another while their server dies and comes back again and again. Resolves with
 * everything that was wrong.
 */
export async function survive({ seed, lives }: Storm): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-storm-'))
  const { server: ports } = await freeListenerPorts(['server'])
  const recorder = recordHistory()
  const stepsNotReached: string[] = []

  function start({ clockOffsetMs, isJumping = false, end }: Life): Promise<ServerProcess> {
    const shift = clockOffsetMs === 0 ? [] : [`--clock-offset-ms=${clockOffsetMs}`]
    const die = end.kind === 'step' ? [`--die-at=${end.step}:${end.count}`] : []
    const args = [...shift, ...(isJumping ? ['--clock-jumps'] : []), ...die]
    return startServerProcess({
      data: join(folder, 'data'),
      ports,
      config: serverConfig,
      ...(args.length > 0 && { entry: 'test/durability/server.ts', args }),
    })
  }

  /** From the start to the end, whichever way. */
  async function live(life: Life, isReady: (server: ServerProcess) => Promise<unknown>) {
    const { end, clockOffsetMs, freezeMs } = life
    const step = end.kind === 'step' ? { step: `${end.step}:${end.count}` } : {}
    let server: ServerProcess
    try {
      server = await start(life)
    } catch (error) {
      if (end.kind !== 'step' || !String(error).includes('SIGKILL')) throw error
      recorder.record({ kind: 'server-started', clockOffsetMs })
      recorder.record({ kind: 'server-ended', how: 'killed', ...step })
      return
    }
    try {
      recorder.record({ kind: 'server-started', clockOffsetMs })
      await isReady(server)
      if (freezeMs !== undefined) await freeze(server, freezeMs)
      await endOf(server, end)
      const code = await server.exit
      const how = end.kind === 'stop' ? 'stopped' : 'killed'
      recorder.record({ kind: 'server-ended', how, ...step })
      const expected = how === 'stopped' ? 0 : 'SIGKILL'
      if (code !== expected) throw new Error(`the server ended with ${code}`)
    } catch (error) {
      throw new Error(`${String(error)}\nThe server said: ${server.output()}`, { cause: error })
    } finally {
      await server[Symbol.asyncDispose]()
    }
  }

  async function freeze(server: ServerProcess, ms: number): Promise<void> {
    await sleep(300)
    server.kill('SIGSTOP')
    await sleep(ms)
    server.kill('SIGCONT')
    recorder.record({ kind: 'server-frozen', ms })
  }

  async function endOf(server: ServerProcess, end: LifeEnd): Promise<void> {
    if (end.kind === 'step') {
      const late = setTimeout(() => {
        stepsNotReached.push(`${end.step}:${end.count}`)
        server.kill('SIGKILL')
      }, stepTimeoutMs)
      await server.exit
      clearTimeout(late)
    } else {
      await sleep(end.afterMs)
      server.kill(end.kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
    }
  }

  try {
    await using crowd = gatherCrowd(recorder, randomNumbers(seed))
    for (const life of lives) await live(life, (server) => crowd.begin(server))
    const last: Life = { clockOffsetMs: 0, end: { kind: 'stop', afterMs: 0 } }
    await live(last, async (server) => {
      await crowd.begin(server)
      await crowd.comeToRest()
    })
    const found = await judge(recorder.entries, crowd.frameFaults, [`seed ${seed}`])
    return [...found, ...stepsNotReached.map((step) => `nobody came to ${step}`)]
  } catch (error) {
    const file = await keep(recorder.entries)
    throw new Error(`${String(error)}\nseed ${seed}, history in ${file}`, { cause: error })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
