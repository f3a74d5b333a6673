import { Worker } from 'node:worker_threads'

import type {
  CoreCalls,
  CoreEvent,
  CoreFailure,
  CoreSettings,
  FromWorker,
  ToWorker,
} from './core-calls.ts'
import { eventLog, type EventLog } from './event-log.ts'
import type { ServerUrls } from './wire-types.ts'

export interface CoreClientOptions {
  readonly api: ServerUrls
  /** Shown in failures. */
  readonly name?: string
  readonly minVersion?: number
  readonly maxVersion?: number
  readonly gzip?: boolean
  readonly prekeyCount?: number
  readonly reconnectDelayMs?: number
}

/** Wire's whole client (`@wireapp/core` with core-crypto), alone in a worker thread. */
export interface CoreClient extends CoreCalls, AsyncDisposable {
  readonly name: string
  /** The API version it agreed on with the server. */
  readonly version: number
  readonly domain: string
  readonly events: EventLog<CoreEvent>
  /** The next matching event, also one that arrived before; each is given out once. */
  receives(matches: (event: CoreEvent) => boolean, timeoutMs?: number): Promise<CoreEvent>
  receivesText(text: string, timeoutMs?: number): Promise<CoreEvent & { kind: 'text' }>
  /** What the client's own code wrote to its log, for a failing test to show. */
  log(): string
  close(): Promise<void>
}

/** A call that Wire's client answered with an error. */
export class CoreCallError extends Error {
  readonly failure: CoreFailure

  constructor(client: string, call: string, failure: CoreFailure) {
    const label = failure.label ? ` [${failure.code ?? ''} ${failure.label}]` : ''
    const status = failure.status ? ` (HTTP ${failure.status})` : ''
    super(`${client}.${call}: ${failure.name}: ${failure.message}${label}${status}`)
    this.name = 'CoreCallError'
    this.failure = failure
  }

  get label(): string | undefined {
    return this.failure.label
  }

  get code(): number | undefined {
    return this.failure.code ?? this.failure.status
  }
}

const DEFAULT_TIMEOUT_MS = 20_000
const KEPT_LOG_CHARACTERS = 20_000

// A record rather than a list, so that the compiler finds a call that is missing here.
const callNames: Record<keyof CoreCalls, true> = {
  registerUser: true,
  login: true,
  registerClient: true,
  initClient: true,
  listen: true,
  stopListening: true,
  logout: true,
  setHandle: true,
  search: true,
  searchAndConnect: true,
  connect: true,
  acceptConnection: true,
  connections: true,
  conversations: true,
  createGroup: true,
  addMembers: true,
  leave: true,
  sendText: true,
  sendConfirmation: true,
  sendTyping: true,
  uploadFile: true,
  downloadFile: true,
  remainingPrekeys: true,
}

interface Pending {
  readonly call: string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** Starts a worker with one client in it; resolves when it has agreed on an API version. */
export async function startCoreClient(options: CoreClientOptions): Promise<CoreClient> {
  const settings: CoreSettings = {
    name: options.name ?? 'core client',
    api: options.api,
    minVersion: options.minVersion ?? 8,
    maxVersion: options.maxVersion ?? 15,
    gzip: options.gzip ?? true,
    prekeyCount: options.prekeyCount ?? 10,
    reconnectDelayMs: options.reconnectDelayMs ?? 100,
  }
  const { name } = settings
  const events = eventLog<CoreEvent>(name)
  const pending = new Map<number, Pending>()
  let lastId = 0
  let log = ''
  let isClosing = false

  const worker = new Worker(new URL('./core-worker.ts', import.meta.url), {
    name,
    workerData: settings,
    // Nothing of the parent's loaders; and not "test", on which Wire's client stops compressing.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, NODE_ENV: 'production' },
    stdout: true,
    stderr: true,
  })
  for (const stream of [worker.stdout, worker.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      log = (log + chunk).slice(-KEPT_LOG_CHARACTERS)
    })
  }

  const started = Promise.withResolvers<{ version: number; domain: string }>()

  function giveUp(reason: Error): void {
    for (const { call, reject } of pending.values()) {
      reject(new Error(`${name}.${call}: ${reason.message}`, { cause: reason }))
    }
    pending.clear()
    events.end(reason)
    started.reject(reason)
  }

  worker.on('message', (message: FromWorker) => {
    if ('event' in message) return events.add(message.event)
    if ('ready' in message) return started.resolve(message.ready)
    if ('startFailure' in message) {
      return started.reject(new CoreCallError(name, 'start', message.startFailure))
    }
    const waiting = pending.get(message.id)
    if (!waiting) return
    pending.delete(message.id)
    if ('failure' in message) {
      waiting.reject(new CoreCallError(name, waiting.call, message.failure))
    } else {
      waiting.resolve(message.result)
    }
  })
  worker.on('error', (error: Error) => giveUp(new Error('the worker failed', { cause: error })))
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      giveUp(new Error(isClosing ? 'the client was closed' : `the worker exited with ${code}`))
      resolve()
    })
  })

  function ask(call: ToWorker['call'], args: readonly unknown[]): Promise<unknown> {
    if (isClosing) return Promise.reject(new Error(`${name}.${call}: the client was closed`))
    const id = ++lastId
    return new Promise((resolve, reject) => {
      pending.set(id, { call, resolve, reject })
      worker.postMessage({ id, call, args }, [])
    })
  }

  async function close(): Promise<void> {
    if (!isClosing) {
      // Lets the socket say goodbye; a client that cannot is ended all the same.
      await Promise.race([ask('close', []).catch(() => undefined), expire(1_000)])
      isClosing = true
      await worker.terminate()
    }
    await exited
  }

  const calls = Object.fromEntries(
    Object.keys(callNames).map((call) => [
      call,
      (...args: unknown[]) => ask(call as keyof CoreCalls, args),
    ]),
  ) as unknown as CoreCalls

  try {
    const { version, domain } = await started.promise
    return {
      ...calls,
      name,
      version,
      domain,
      events,
      receives: (matches, timeoutMs = DEFAULT_TIMEOUT_MS) => events.take(matches, timeoutMs),
      receivesText: async (text, timeoutMs = DEFAULT_TIMEOUT_MS) => {
        const isIt = (event: CoreEvent): boolean => event.kind === 'text' && event.text === text
        const event = await events.take(isIt, timeoutMs, `the text ${JSON.stringify(text)}`)
        return event as CoreEvent & { kind: 'text' }
      },
      log: () => log,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function expire(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref()
  })
}
