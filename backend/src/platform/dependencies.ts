import {
  BrokenCircuitError,
  BulkheadRejectedError,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  TaskCancelledError,
  TimeoutStrategy,
  bulkhead,
  circuitBreaker,
  handleWhen,
  retry,
  timeout,
} from 'cockatiel'
import type { Logger } from 'pino'
import { UnknownOutcome, Unavailable } from '../contract/error.ts'
import type { Clock } from './clock.ts'
import type { Metrics } from './metrics.ts'

/**
 * What an error says about the engine. `refused`: it cannot have done what was asked, because it
 * was not reached or said that it is down or full; `lost`: it was asked and no answer came;
 * undefined: the engine is well, and this was its answer or the caller's own error.
 */
export type Outage = 'refused' | 'lost' | undefined

/**
 * `always`: without it this process is not ready; `to start`: not ready before it has answered
 * once; `never`: a help whose absence is told and changes nothing else.
 */
export type Need = 'always' | 'to start' | 'never'

export interface DependencyOptions {
  /** As the operator knows it: `redis (presence)`. */
  readonly name: string
  readonly need: Need
  /** Asks whether the engine serves; rejects if it does not. Called about every second while it does not answer. */
  readonly probe: (signal: AbortSignal) => Promise<void>
  readonly outageOf: (error: unknown) => Outage
  readonly limits?: Partial<DependencyLimits>
}

export interface DependencyLimits {
  /** Of one try, the wait for its turn included. */
  readonly timeoutMs: number
  /** Tries under way at once; as many again as `waiting` wait, and the rest is refused. */
  readonly atOnce: number
  readonly waiting: number
  /** Tries without a time limit, which do not wait for a place. */
  readonly longAtOnce: number
  /** After so many outages one after another nothing is tried for a while. */
  readonly failuresToBreak: number
  readonly brokenMs: number
  readonly probeEveryMs: number
}

const defaultLimits: DependencyLimits = {
  timeoutMs: 2000,
  atOnce: 64,
  waiting: 256,
  longAtOnce: 256,
  failuresToBreak: 5,
  brokenMs: 1000,
  probeEveryMs: 5000,
}
/** Between probes of an engine that does not answer. */
const impatientMs = 1000
const longestTimerMs = 2 ** 31 - 1
/** A connection that is just being made is no news. */
const firstMs = 1000
const firstProbesEveryMs = 200

export interface Attempt {
  /** What was attempted, for the error: `list presences`. */
  readonly what: string
  /** A write without an answer is an `UnknownOutcome`. */
  readonly isWrite?: boolean
  /** Further tries after an outage; only for what may be done twice. */
  readonly retries?: number
  readonly timeoutMs?: number
  /**
   * It goes on for as long as somebody else takes, such as an upload: it has a place among its like
   * and no time limit, and ends itself when the engine stalls.
   */
  readonly isLong?: boolean
}

/** One engine that this process depends on: bounded, timed, and left alone while it is down. */
export interface Dependency {
  readonly name: string
  /** Whether the engine answered last; false before it has answered for the first time. */
  readonly isUp: boolean
  /**
   * Does `work` within the limits; its signal is aborted when its time is over.
   *
   * @throws Unavailable when the engine is down, full or left alone
   * @throws UnknownOutcome when it was a write and no answer came
   */
  attempt<T>(attempt: Attempt, work: (signal: AbortSignal) => Promise<T>): Promise<T>
}

export interface Reported {
  noteUp(): void
  /** @param reason In words, for the operator */
  noteDown(reason: string): void
  /** @param kind `read`, `write`, ... */
  countRequest(kind: string): void
  countRetry(): void
  /** @param kind As of the failures of other engines: `timeout`, `full`, ... */
  countFailure(kind: string): void
}

export interface Dependencies extends AsyncDisposable {
  add(options: DependencyOptions): Dependency
  /** An engine whose adapter looks after itself, and tells what it sees. */
  addReported(name: string, need: Need): Reported
  /** Why this process is not ready: one entry for each engine that it cannot do without. */
  missing(): string[]
  /** Engines that do not answer, while this process serves without them. */
  degraded(): string[]
}

/**
 * The engines of one process: their states, counted and told in one log line for each change.
 *
 * @param deps.metrics Retries, failures and states are counted there
 */
export function createDependencies(deps: {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly log: Logger
  readonly metrics: Metrics
}): Dependencies {
  const { clock, log, metrics } = deps
  const stopping = new AbortController()
  const watched: Watched[] = []
  const probing: Promise<void>[] = []
  const retries = metrics.counter(
    'tricord_dependency_retries_total',
    'Further tries after an engine did not answer',
    ['dependency'],
  )
  const failures = metrics.counter(
    'tricord_dependency_failures_total',
    'Tries that failed because of the engine: refused, lost, timeout, full, or left alone (broken)',
    ['dependency', 'kind'],
  )
  const requests = metrics.counter(
    'tricord_dependency_requests_total',
    'Requests of the services, each counted once however often it was tried',
    ['dependency', 'kind'],
  )
  metrics.labelledGauge(
    'tricord_dependency_up',
    'Whether the engine answered last',
    'dependency',
    () => watched.map(({ dependency }) => [dependency.name, dependency.isUp ? 1 : 0]),
  )

  return {
    add(options) {
      const added = watch(options, { clock, log, retries, failures })
      watched.push(added)
      probing.push(added.run(stopping.signal))
      return added.dependency
    },
    addReported(name, need) {
      const state = createState(name, { clock, log })
      watched.push({
        dependency: state,
        isMissing: () => isMissing(need, state),
        describe: () => state.describe(),
      })
      return {
        noteUp: () => state.noteUp(),
        noteDown: (reason) => state.noteDown(reason),
        countRequest: (kind) => requests.inc({ dependency: name, kind }),
        countRetry: () => retries.inc({ dependency: name }),
        countFailure: (kind) => failures.inc({ dependency: name, kind }),
      }
    },
    missing: () => watched.filter(({ isMissing }) => isMissing()).map(({ describe }) => describe()),
    degraded: () =>
      watched
        .filter(({ dependency, isMissing }) => !dependency.isUp && !isMissing())
        .map(({ describe }) => describe()),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await Promise.all(probing)
    },
  }
}

interface Watched {
  readonly dependency: Pick<Dependency, 'name' | 'isUp'>
  readonly isMissing: () => boolean
  readonly describe: () => string
}

/** What is known of an engine, told in one line for each change. */
interface State {
  readonly name: string
  readonly isUp: boolean
  readonly wasUp: boolean
  readonly isTold: boolean
  /** Since when it is as it is. */
  readonly sinceMs: number
  noteUp(): void
  noteDown(reason: string): void
  /** A reason that is not told yet. */
  noteReason(reason: string): void
  describe(): string
}

function createState(
  name: string,
  { clock, log }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly log: Logger },
): State {
  let state: 'unknown' | 'waiting' | 'up' | 'down' = 'unknown'
  let reason = 'it has not answered yet'
  let sinceMs = clock.monotonicMs()
  return {
    name,
    get isUp() {
      return state === 'up'
    },
    get wasUp() {
      return state === 'up' || state === 'down'
    },
    get isTold() {
      return state !== 'unknown'
    },
    get sinceMs() {
      return sinceMs
    },
    noteUp() {
      if (state === 'up') return
      const afterSeconds = Math.round((clock.monotonicMs() - sinceMs) / 1000)
      log.info(
        { dependency: name, ...(state === 'unknown' ? {} : { afterSeconds }) },
        'dependency answers',
      )
      state = 'up'
      sinceMs = clock.monotonicMs()
    },
    noteDown(given) {
      reason = given
      if (state === 'waiting' || state === 'down') return
      const isFirst = state === 'unknown'
      state = isFirst ? 'waiting' : 'down'
      sinceMs = clock.monotonicMs()
      log.warn(
        { dependency: name, reason },
        isFirst ? 'waiting for a dependency' : 'dependency does not answer',
      )
    },
    noteReason(given) {
      reason = given
    },
    describe: () => `${name}: ${reason}`,
  }
}

const isMissing = (need: Need, { isUp, wasUp }: State): boolean =>
  need === 'always' ? !isUp : need === 'to start' && !wasUp

function watch(
  options: DependencyOptions,
  deps: {
    readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
    readonly log: Logger
    readonly retries: ReturnType<Metrics['counter']>
    readonly failures: ReturnType<Metrics['counter']>
  },
): Watched & {
  readonly dependency: Dependency
  readonly run: (signal: AbortSignal) => Promise<void>
} {
  const { name, need, probe, outageOf } = options
  const { clock, log, retries, failures } = deps
  const limits = { ...defaultLimits, ...options.limits }
  const isOutage = (error: unknown): boolean =>
    error instanceof TaskCancelledError || outageOf(error) !== undefined
  const circuit = circuitBreaker(handleWhen(isOutage), {
    breaker: new ConsecutiveBreaker(limits.failuresToBreak),
    halfOpenAfter: limits.brokenMs,
  })
  const short = bulkhead(limits.atOnce, limits.waiting)
  const long = bulkhead(limits.longAtOnce, 0)

  const state = createState(name, { clock, log })
  let failedProbes = 0

  function noteUp(): void {
    failedProbes = 0
    state.noteUp()
  }

  circuit.onBreak((event) => {
    if (state.isTold) state.noteDown(sentence('error' in event ? event.error : event))
  })

  async function once<T>(
    what: Attempt,
    work: (signal: AbortSignal) => Promise<T>,
    outer: AbortSignal | undefined,
  ): Promise<T> {
    let isSent = false
    const isLong = what.isLong === true
    const lane = isLong ? long : short
    const ms = isLong ? longestTimerMs : (what.timeoutMs ?? limits.timeoutMs)
    const limit = timeout(ms, TimeoutStrategy.Aggressive)
    try {
      const result = await circuit.execute(
        ({ signal: fromCircuit }) =>
          limit.execute(
            (_context, fromLimit) =>
              lane.execute(({ signal }) => {
                isSent = true
                return untilAborted(work(signal), signal)
              }, fromLimit),
            fromCircuit,
          ),
        outer,
      )
      // A late answer to what was asked before the circuit opened says nothing of now.
      if (circuit.state !== CircuitState.Open) noteUp()
      return result
    } catch (error) {
      throw translated(what, error, isSent)
    }
  }

  function translated(what: Attempt, error: unknown, isSent: boolean): unknown {
    const kind = kindOf(error, outageOf)
    if (kind === undefined) return error
    failures.inc({ dependency: name, kind })
    if (kind === 'broken' || kind === 'full') {
      return new Unavailable(what.what, { cause: error, retryAfterSeconds: 1 })
    }
    const isUnknown = what.isWrite === true && isSent && kind !== 'refused'
    return isUnknown
      ? new UnknownOutcome(what.what, { cause: error })
      : new Unavailable(what.what, { cause: error })
  }

  return {
    dependency: {
      name,
      get isUp() {
        return state.isUp
      },
      attempt(what, work) {
        if (what.retries === undefined || what.retries === 0) return once(what, work, undefined)
        const again = retry(handleWhen(isWorthAnotherTry), {
          maxAttempts: what.retries,
          backoff: new ExponentialBackoff({ initialDelay: 30, maxDelay: 300 }),
        })
        again.onRetry(() => retries.inc({ dependency: name }))
        return again.execute(({ signal }) => once(what, work, signal))
      },
    },
    isMissing: () => isMissing(need, state),
    describe: () => state.describe(),
    async run(signal) {
      while (!signal.aborted) {
        try {
          await once({ what: `ask ${name} whether it serves` }, probe, signal)
        } catch (error) {
          failedProbes += 1
          const cause = error instanceof Unavailable ? error.cause : error
          if (!wasNotAsked(cause)) state.noteReason(sentence(cause))
          if (isNews(cause) && !signal.aborted) state.noteDown(sentence(cause))
        }
        const ms = !state.isTold
          ? firstProbesEveryMs
          : state.isUp && failedProbes === 0
            ? limits.probeEveryMs
            : impatientMs
        await clock.sleep(ms, signal).catch(() => undefined)
      }
    },
  }

  /** One lost answer is no outage, and a first connection may take a moment. */
  function isNews(error: unknown): boolean {
    if (wasNotAsked(error)) return false
    return state.isTold ? failedProbes > 1 : clock.monotonicMs() - state.sinceMs >= firstMs
  }
}

/** Nothing was learned of the engine: it is being left alone, or has all hands full. */
function wasNotAsked(error: unknown): boolean {
  return error instanceof BrokenCircuitError || error instanceof BulkheadRejectedError
}

/** Work that does not heed its signal must not keep its place. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', abort))
}

type Failure = 'refused' | 'lost' | 'timeout' | 'full' | 'broken'

function kindOf(error: unknown, outageOf: (error: unknown) => Outage): Failure | undefined {
  if (error instanceof BrokenCircuitError) return 'broken'
  if (error instanceof BulkheadRejectedError) return 'full'
  if (error instanceof TaskCancelledError) return 'timeout'
  return outageOf(error)
}

/** A circuit that is open stays so for longer than a retry waits. */
function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof Unavailable && !(error.cause instanceof BrokenCircuitError)
}

/** The innermost cause says most: "connect ECONNREFUSED 127.0.0.1:6379". */
function sentence(error: unknown): string {
  if (error instanceof TaskCancelledError) return 'no answer in time'
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return sentence(error.errors[0])
  if (error.cause instanceof Error) return sentence(error.cause)
  return error.message === '' ? error.name : error.message
}
