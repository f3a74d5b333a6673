import { pino } from 'pino'
import { expect, it } from 'vitest'
import { Unavailable } from '../../../contract/error.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { InstanceState } from '../store/ring.ts'
import { beatLine } from '../testing/beat-line.ts'
import { settle } from '../testing/test-gundeck.ts'
import { beatOverPort, longestHangMs, serveBeat } from './beat-thread.ts'

/** The main thread, the one that beats and the line in the store. */
function stage() {
  const clock = fakeClock()
  let hang: PromiseWithResolvers<void> | undefined
  const atMain = async (): Promise<void> => {
    while (hang) await hang.promise
  }
  let stored: InstanceState = { epoch: 1n, sequence: 1n, ceiling: 0n }
  let isDown = false
  const reached = (): void => {
    if (isDown) throw new Unavailable('the store is down')
  }
  const same = (one: InstanceState, other: InstanceState): boolean =>
    one.epoch === other.epoch && one.sequence === other.sequence && one.ceiling === other.ceiling
  const line = beatLine({ monotonicMs: () => clock.monotonicMs(), atMain })
  serveBeat(line.thread, {
    clock,
    store: {
      async raise(_name, from, to) {
        reached()
        if (!same(from, stored)) return false
        stored = to
        return true
      },
      async instance() {
        reached()
        return stored
      },
    },
  })
  let wanted = 0n
  const beat = beatOverPort(line.main, {
    store: {
      raise: () => Promise.reject(new Error('the main thread does not write')),
      instance: () => Promise.reject(new Error('the main thread does not read')),
    },
    name: () => 'a',
    pulse: { ceiling: () => wanted, clockMs: () => clock.nowMs() },
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      async sleep(ms, signal) {
        await clock.sleep(ms, signal)
        await atMain()
      },
    },
    log: pino({ level: 'silent' }),
    line: stored,
  })
  const stopping = new AbortController()
  let changes = 0
  let onChanged = async (): Promise<void> => undefined
  void beat.run(stopping.signal, async () => {
    changes += 1
    await onChanged()
  })
  async function pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 50) {
      await clock.advance(50)
      await settle()
    }
  }
  return {
    beat,
    clock,
    line,
    pass,
    stop: () => stopping.abort(),
    get stored() {
      return stored
    },
    /** Somebody takes shards. */
    take() {
      stored = { ...stored, epoch: stored.epoch + 1n }
    },
    want: (ceiling: bigint) => void (wanted = ceiling),
    hang: () => void (hang = Promise.withResolvers()),
    wake() {
      hang?.resolve()
      hang = undefined
    },
    setDown: (value: boolean) => void (isDown = value),
    get changes() {
      return changes
    },
    onChanged: (work: () => Promise<void>) => void (onChanged = work),
  }
}

it('beats on while the main thread is busy, no higher than that said', async () => {
  const test = stage()
  test.want(100n)
  await test.pass(1000)
  expect(test.beat.line).toEqual(test.stored)
  const before = test.stored
  test.want(200n)
  test.hang()
  await test.pass(1500)
  expect(test.stored.sequence - before.sequence).toBe(3n)
  expect(test.stored.ceiling).toBe(100n)
  test.wake()
  await test.pass(700)
  expect(test.stored.ceiling).toBe(200n)
  test.stop()
})

it('beats no more for a main thread that hangs, and again when it wakes', async () => {
  const test = stage()
  await test.pass(1000)
  test.hang()
  await test.pass(longestHangMs)
  const before = test.stored.sequence
  await test.pass(60_000)
  expect(test.stored.sequence).toBe(before)
  test.wake()
  await test.pass(700)
  expect(test.stored.sequence).toBeGreaterThan(before)
  test.stop()
})

it('lets the main thread know how old the last sign of life is, however late it hears', async () => {
  const test = stage()
  await test.pass(1000)
  test.hang()
  await test.pass(30_000)
  test.wake()
  await settle()
  // What was told meanwhile is all there, and nothing of it is taken for new.
  expect(test.beat.line).toEqual(test.stored)
  expect(test.clock.monotonicMs() - test.beat.raisedMs).toBeGreaterThan(27_000)
  await test.pass(700)
  expect(test.clock.monotonicMs() - test.beat.raisedMs).toBeLessThan(700)
  test.setDown(true)
  await test.pass(5000)
  expect(test.clock.monotonicMs() - test.beat.raisedMs).toBeGreaterThanOrEqual(5000)
  test.stop()
})

it('raises nothing after the line was changed until the main thread has let go', async () => {
  const test = stage()
  await test.pass(1000)
  test.take()
  const taken = test.stored
  await test.pass(3000)
  expect(test.stored).toEqual(taken)
  expect(test.changes).toBeGreaterThan(0)
  await expect(test.beat.raise()).resolves.toBe('changed')
  test.onChanged(async () => {
    await test.beat.hold()
    test.beat.go(test.stored)
  })
  await test.pass(1100)
  expect(test.stored.epoch).toBe(taken.epoch)
  expect(test.stored.sequence).toBeGreaterThan(taken.sequence)
  test.stop()
})

it('holds the line for the main thread, and goes on from what that wrote', async () => {
  const test = stage()
  await test.pass(1000)
  const held = await test.beat.hold()
  expect(held).toEqual(test.stored)
  await test.pass(3000)
  expect(test.stored).toEqual(held)
  test.take()
  test.beat.go(test.stored)
  await expect(test.beat.raise()).resolves.toBe('raised')
  expect(test.beat.line).toEqual(test.stored)
  expect(test.changes).toBe(0)
  test.stop()
})

it('raises with what the main thread says at that moment', async () => {
  const test = stage()
  await test.pass(1000)
  test.want(5000n)
  await test.beat.raise()
  expect(test.beat.line.ceiling).toBe(5000n)
  test.setDown(true)
  await expect(test.beat.raise()).rejects.toThrow(/the store is down/)
  test.stop()
})

it('leaves nobody waiting when the thread dies', async () => {
  const test = stage()
  await test.pass(1000)
  const raising = test.beat.raise()
  const holding = test.beat.hold()
  test.line.end()
  await expect(raising).rejects.toThrow(Unavailable)
  await expect(holding).resolves.toBeDefined()
  await expect(test.beat.raise()).rejects.toThrow(Unavailable)
  test.stop()
})
