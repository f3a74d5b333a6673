import { pino } from 'pino'
import { expect, it } from 'vitest'
import { UnknownOutcome, Unavailable } from '../../contract/error.ts'
import { createDependencies } from '../../platform/dependencies.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { watchAnswers } from './answers.ts'

const statement = { query: 'SELECT', params: [] }

/** A session that tests turn on and off, and what the operator is told. */
function stage() {
  const clock = fakeClock()
  const log = pino({ level: 'silent' })
  const dependencies = createDependencies({ clock, log, metrics: createMetrics('test') })
  const report = dependencies.addReported('cassandra (wide-column)', 'always')
  let error: Error | undefined
  let latencyMs = 0
  let reads = 0
  async function ask(): Promise<void> {
    if (latencyMs > 0) await clock.sleep(latencyMs)
    if (error) throw error
  }
  const watch = watchAnswers(
    {
      async read() {
        reads += 1
        await ask()
        return []
      },
      write: ask,
      async writeIf() {
        await ask()
        return true
      },
      administer: () => Promise.reject(new Error('nothing is administered here')),
      untilAgreed: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    { clock, report },
  )
  report.noteUp()
  const stopping = new AbortController()
  const { session } = watch
  void watch.run(() => session.read(statement), stopping.signal)
  return {
    clock,
    session,
    dependencies,
    get reads() {
      return reads
    },
    /** As a cluster that does not answer in time. */
    silence: () => void ((error = new Unavailable('no answer within 2500 ms')), (latencyMs = 2500)),
    fail: (given: Error) => void ((error = given), (latencyMs = 0)),
    heal: () => void ((error = undefined), (latencyMs = 0)),
    stop: () => stopping.abort(),
  }
}

it('is missing within ten seconds when the cluster stops answering, though nobody asks', async () => {
  const test = stage()
  await test.clock.advance(60_000)
  expect(test.dependencies.missing()).toEqual([])
  test.silence()
  await test.clock.advance(11_000)
  expect(test.dependencies.missing()).toEqual(['cassandra (wide-column): no answer within 2500 ms'])
  test.stop()
})

it('is ready again by itself, with the first answer', async () => {
  const test = stage()
  test.silence()
  await test.clock.advance(60_000)
  expect(test.dependencies.missing()).toHaveLength(1)
  test.heal()
  await test.clock.advance(3600)
  expect(test.dependencies.missing()).toEqual([])
  test.stop()
})

it.each([
  ['a read', (test: ReturnType<typeof stage>) => test.session.read(statement)],
  [
    'a write',
    (test: ReturnType<typeof stage>) => test.session.write([statement], { isOnePartition: true }),
  ],
  ['a conditional write', (test: ReturnType<typeof stage>) => test.session.writeIf([statement])],
])('learns from %s that fails, and from one that is answered', async (_, ask) => {
  const test = stage()
  test.fail(new UnknownOutcome('127.0.0.1:9042: connection closed'))
  await ask(test).catch(() => undefined)
  // One failure says little.
  expect(test.dependencies.missing()).toEqual([])
  await test.clock.advance(3000)
  await ask(test).catch(() => undefined)
  expect(test.dependencies.missing()).toEqual([
    'cassandra (wide-column): 127.0.0.1:9042: connection closed',
  ])
  test.heal()
  await ask(test)
  expect(test.dependencies.missing()).toEqual([])
  test.stop()
})

it('stays ready while some requests fail and others are answered', async () => {
  const test = stage()
  for (let round = 0; round < 100; round += 1) {
    test.fail(new Unavailable('not enough replicas'))
    await test.session.read(statement).catch(() => undefined)
    await test.clock.advance(450)
    test.heal()
    await test.session.read(statement)
    await test.clock.advance(450)
    expect(test.dependencies.missing()).toEqual([])
  }
  test.stop()
})

it('takes a refusal for an answer', async () => {
  const test = stage()
  test.fail(new TypeError('the table has no such column'))
  for (let round = 0; round < 20; round += 1) {
    await test.session.read(statement).catch(() => undefined)
    await test.clock.advance(1000)
  }
  expect(test.dependencies.missing()).toEqual([])
  test.stop()
})

it('asks nothing itself while requests are answered', async () => {
  const test = stage()
  for (let round = 0; round < 60; round += 1) {
    await test.session.write([statement], { isOnePartition: true })
    await test.clock.advance(1000)
  }
  expect(test.reads).toBe(0)
  await test.clock.advance(60_000)
  expect(test.reads).toBeGreaterThan(9)
  expect(test.reads).toBeLessThan(13)
  test.stop()
})
