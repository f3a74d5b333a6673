import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
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

export function startGenerator({ core }: { readonly core?: number } = {}): Generator {
  const child = fork(join(import.meta.dirname, 'generator.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  if (core !== undefined) {
    execFileSync('taskset', ['-a', '-c', '-p', String(core), String(child.pid)])
  }
  let last: Promise<unknown> = Promise.resolve()

  async function give(order: Order): Promise<unknown> {
    child.send(order)
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the generator ended with ${String(code)}`)
    })
    const [reply] = (await Promise.race([once(child, 'message'), ended])) as [Reply]
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
      child.removeAllListeners('exit')
      child.kill('SIGKILL')
      if (child.exitCode === null) await once(child, 'close')
    },
  }
}
