import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Order, Reply } from './generator.ts'
import type { LoadSettings, RunResult, RunSettings } from './load.ts'

/** Load on a server, made by another process on a core of its own. */
export interface RemoteLoad extends AsyncDisposable {
  allocate(): Promise<{ seconds: number; allocated: number; refused: number }>
  bind(): Promise<void>
  release(): Promise<void>
  run(settings: RunSettings): Promise<RunResult>
}

export interface Generator extends AsyncDisposable {
  open(name: string, settings: LoadSettings): Promise<RemoteLoad>
}

/** @param nice as of `nice`, below 0 for root alone. */
export function startGenerator({
  core,
  nice,
}: {
  readonly core?: number
  readonly nice?: number
} = {}): Generator {
  const child = fork(join(import.meta.dirname, 'generator.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    // A session of its own: `nice` counts within one alone where the kernel groups by sessions.
    detached: nice !== undefined,
  })
  const pid = String(child.pid)
  if (core !== undefined) execFileSync('taskset', ['-a', '-c', '-p', String(core), pid])
  if (nice !== undefined) {
    execFileSync('renice', ['-n', String(nice), '-p', pid])
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(nice))
    } catch {
      // The kernel has no such groups, or grants it to others alone.
    }
  }
  let answer: ((reply: Reply) => void) | undefined
  let last: Promise<unknown> = Promise.resolve()
  child.on('message', (reply: Reply) => answer?.(reply))
  child.on('exit', (code) => answer?.({ error: `the generator ended with ${String(code)}` }))

  async function give(order: Order): Promise<unknown> {
    if (child.exitCode !== null) throw new Error('the generator has ended')
    const reply = await new Promise<Reply>((resolve) => {
      answer = resolve
      child.send(order)
    })
    if ('error' in reply) throw new Error(`${order.act} on ${order.load}: ${reply.error}`)
    return reply.result
  }

  /** One order at a time; a failed one does not hold up the next. */
  function inTurn(order: Order): Promise<unknown> {
    const next = last.then(() => give(order))
    last = next.catch(() => undefined)
    return next
  }

  return {
    async open(name, settings) {
      await inTurn({ act: 'open', load: name, settings })
      return {
        allocate: () =>
          inTurn({ act: 'allocate', load: name }) as ReturnType<RemoteLoad['allocate']>,
        bind: () => inTurn({ act: 'bind', load: name }) as Promise<void>,
        release: () => inTurn({ act: 'release', load: name }) as Promise<void>,
        run: (settings) => inTurn({ act: 'run', load: name, settings }) as Promise<RunResult>,
        [Symbol.asyncDispose]: () => inTurn({ act: 'close', load: name }) as Promise<void>,
      }
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close')
      if (child.kill('SIGKILL')) await ended
    },
  }
}
