import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { pino } from 'pino'
import { UnknownOutcome, Unavailable } from '../contract/error.ts'
import { createDependencies, type DependencyOptions } from './dependencies.ts'
import { createMetrics } from './metrics.ts'

class Refused extends Error {}
class Lost extends Error {}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** An engine that tests turn on and off. */
function setUp(
  options: Partial<DependencyOptions> = {},
  first: 'up' | 'refuses' | 'silent' = 'up',
) {
  const lines: { level: number; msg: string; reason?: string; dependency?: string }[] = []
  const log = pino(
    { level: 'debug' },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  )
  const metrics = createMetrics('test')
  const dependencies = createDependencies({
    log,
    metrics,
    clock: { monotonicMs: () => Date.now(), sleep: (ms, signal) => systemClockSleep(ms, signal) },
  })
  const engine: { state: 'up' | 'refuses' | 'silent'; probes: number } = {
    state: first,
    probes: 0,
  }
  const ask = async (): Promise<string> => {
    if (engine.state === 'refuses') throw new Refused('connection refused')
    if (engine.state === 'silent') await new Promise(() => undefined)
    return 'answer'
  }
  const dependency = dependencies.add({
    name: 'engine (test)',
    need: 'always',
    outageOf: (error) =>
      error instanceof Refused ? 'refused' : error instanceof Lost ? 'lost' : undefined,
    async probe() {
      engine.probes += 1
      await ask()
    },
    limits: { timeoutMs: 1000, atOnce: 2, waiting: 1, failuresToBreak: 3, brokenMs: 2000 },
    ...options,
  })
  const messages = (): string[] => lines.map(({ msg }) => msg)
  return { dependencies, dependency, engine, ask, lines, messages, metrics }
}

/** A sleep that the fake timers move. */
function systemClockSleep(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  signal?.addEventListener('abort', () => {
    clearTimeout(timer)
    reject(signal.reason)
  })
  return promise
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)
const settled = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error,
  )

it('waits for an engine that starts later, with one line for each change', async () => {
  const { dependencies, engine, messages, lines } = setUp({}, 'refuses')
  await pass(10_000)
  expect(dependencies.missing()).toEqual(['engine (test): connection refused'])
  engine.state = 'up'
  await pass(3000)
  expect(dependencies.missing()).toEqual([])
  engine.state = 'silent'
  await pass(20_000)
  expect(dependencies.missing()).toEqual(['engine (test): no answer in time'])
  engine.state = 'up'
  await pass(10_000)
  expect(dependencies.missing()).toEqual([])
  expect(messages()).toEqual([
    'waiting for a dependency',
    'dependency answers',
    'dependency does not answer',
    'dependency answers',
  ])
  expect(lines[0]).toMatchObject({ dependency: 'engine (test)', reason: 'connection refused' })
  await dependencies[Symbol.asyncDispose]()
})

it('is not ready before the first answer of what it only needs to start', async () => {
  const { dependencies, engine } = setUp({ need: 'to start' }, 'refuses')
  await pass(2000)
  expect(dependencies.missing()).toHaveLength(1)
  expect(dependencies.degraded()).toEqual([])
  engine.state = 'up'
  await pass(5000)
  engine.state = 'refuses'
  await pass(20_000)
  expect(dependencies.missing()).toEqual([])
  expect(dependencies.degraded()).toEqual(['engine (test): connection refused'])
  await dependencies[Symbol.asyncDispose]()
})

it('is ready without what only helps, and says so', async () => {
  const { dependencies } = setUp({ need: 'never' }, 'refuses')
  await pass(2000)
  expect(dependencies.missing()).toEqual([])
  expect(dependencies.degraded()).toEqual(['engine (test): connection refused'])
  await dependencies[Symbol.asyncDispose]()
})

it('tells reads from writes, and what was refused from what is in doubt', async () => {
  const { dependencies, dependency } = setUp()
  const attempt = (isWrite: boolean, error: Error): Promise<unknown> =>
    settled(dependency.attempt({ what: 'try', isWrite }, () => Promise.reject(error)))
  expect(await attempt(false, new Lost())).not.toBeInstanceOf(UnknownOutcome)
  expect(await attempt(false, new Lost())).toBeInstanceOf(Unavailable)
  await pass(0)
  const { dependencies: more, dependency: other } = setUp()
  const refused = settled(
    other.attempt({ what: 'try', isWrite: true }, () => Promise.reject(new Refused())),
  )
  expect(await refused).not.toBeInstanceOf(UnknownOutcome)
  const lost = other.attempt({ what: 'try', isWrite: true }, () => Promise.reject(new Lost()))
  expect(await settled(lost)).toBeInstanceOf(UnknownOutcome)
  const mine = new RangeError('of the caller')
  await expect(other.attempt({ what: 'try' }, () => Promise.reject(mine))).rejects.toBe(mine)
  await dependencies[Symbol.asyncDispose]()
  await more[Symbol.asyncDispose]()
})

it('ends a try in time, and leaves a silent engine alone after a few', async () => {
  const { dependencies, dependency, engine, ask } = setUp()
  await pass(0)
  engine.state = 'silent'
  let asked = 0
  const signals: AbortSignal[] = []
  const attempt = (): Promise<unknown> =>
    settled(
      dependency.attempt({ what: 'ask', isWrite: true }, (signal) => {
        asked += 1
        signals.push(signal)
        return ask()
      }),
    )
  for (let round = 0; round < 3; round += 1) {
    const tried = attempt()
    await pass(1000)
    expect(await tried).toBeInstanceOf(UnknownOutcome)
  }
  expect(signals.every(({ aborted }) => aborted)).toBe(true)
  expect(dependency.isUp).toBe(false)
  // Now nobody waits.
  const refused = await attempt()
  expect(refused).toBeInstanceOf(Unavailable)
  expect(refused).not.toBeInstanceOf(UnknownOutcome)
  expect(asked).toBe(3)
  engine.state = 'up'
  await pass(10_000)
  expect(dependency.isUp).toBe(true)
  expect(await attempt()).toBe('answer')
  await dependencies[Symbol.asyncDispose]()
})

it('does so many at once, lets a few wait, and refuses the rest at once', async () => {
  const { dependencies, dependency, engine, ask } = setUp({ probe: () => Promise.resolve() })
  await pass(0)
  engine.state = 'silent'
  const tries = [1000, 1000, 500, 1000].map((timeoutMs) =>
    settled(dependency.attempt({ what: 'ask', isWrite: true, timeoutMs }, ask)),
  )
  await pass(0)
  const last = await tries[3]
  expect(last).toBeInstanceOf(Unavailable)
  expect(last).not.toBeInstanceOf(UnknownOutcome)
  await pass(1000)
  const [first, second, waited] = await Promise.all(tries)
  expect(first).toBeInstanceOf(UnknownOutcome)
  expect(second).toBeInstanceOf(UnknownOutcome)
  // It was never sent.
  expect(waited).toBeInstanceOf(Unavailable)
  expect(waited).not.toBeInstanceOf(UnknownOutcome)
  await dependencies[Symbol.asyncDispose]()
})

it('tries again what may be done twice, and counts it', async () => {
  const { dependencies, dependency, metrics } = setUp()
  await pass(0)
  let asked = 0
  const answer = dependency.attempt({ what: 'ask', retries: 2 }, () => {
    asked += 1
    return asked < 3 ? Promise.reject(new Lost()) : Promise.resolve('answer')
  })
  await pass(2000)
  expect(await answer).toBe('answer')
  expect(asked).toBe(3)
  const text = await metrics.registry.metrics()
  expect(text).toMatch(/tricord_dependency_retries_total\{dependency="engine \(test\)".*\} 2/)
  expect(text).toMatch(/tricord_dependency_failures_total\{[^}]*kind="lost"[^}]*\} 2/)
  expect(text).toMatch(/tricord_dependency_up\{[^}]*\} 1/)
  await dependencies[Symbol.asyncDispose]()
})
