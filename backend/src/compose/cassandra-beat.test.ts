import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { beatOverPort } from '../services/gundeck/ring/beat-thread.ts'
import { openThread } from './cassandra-beat.ts'

async function stage() {
  const beats = new BigInt64Array(new SharedArrayBuffer(8))
  const waits: (string | undefined)[] = []
  const thread = await openThread(
    new URL('./beat-thread.fixture.ts', import.meta.url),
    beats,
    (reason) => waits.push(reason),
  )
  const clock = systemClock()
  const place = { name: 'living' }
  const beat = beatOverPort(thread, {
    store: { raise: () => Promise.resolve(false), instance: () => Promise.resolve(undefined) },
    name: () => place.name,
    pulse: { ceiling: () => 1n, clockMs: () => clock.nowMs() },
    clock,
    log: pino({ level: 'silent' }),
    line: { epoch: 1n, sequence: 1n, ceiling: 0n },
  })
  return { beat, beats, waits, thread, clock, place }
}

/** Keeps this thread's event loop from everything, as a long collection of garbage does. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

it('gives signs of life while the event loop of the process stands still', async () => {
  const { beat, beats, waits, thread, clock } = await stage()
  await using _ = thread
  const stopping = new AbortController()
  const running = beat.run(stopping.signal, async () => undefined)
  await expect(beat.raise()).resolves.toBe('raised')
  const before = Atomics.load(beats, 0)
  block(1300)
  expect(Atomics.load(beats, 0)).toBeGreaterThanOrEqual(before + 2n)
  await sleep(50)
  expect(beat.line.sequence).toBe(Atomics.load(beats, 0))
  // Both threads' times are of one clock.
  const ageMs = clock.monotonicMs() - beat.raisedMs
  expect(ageMs).toBeGreaterThan(0)
  expect(ageMs).toBeLessThan(1000)
  expect(waits).toEqual(['the test says so'])
  stopping.abort()
  await running
})

it('is replaced when it ends, and goes on from the line it left', async () => {
  const { beat, thread, place } = await stage()
  await using _ = thread
  await expect(beat.raise()).resolves.toBe('raised')
  await beat.hold()
  place.name = 'dying'
  beat.go()
  await expect(beat.raise()).rejects.toThrow(/has ended/)
  place.name = 'living'
  await expect(beat.raise()).rejects.toThrow(/has ended/)
  await expect.poll(() => beat.raise().catch(() => 'not yet'), { timeout: 8000 }).toBe('raised')
  expect(beat.line).toEqual({ epoch: 1n, sequence: 3n, ceiling: 1n })
})
