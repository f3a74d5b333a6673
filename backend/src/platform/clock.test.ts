import { describe, expect, it } from 'vitest'
import { systemClock } from './clock.ts'
import { fakeClock } from './fake-clock.ts'

describe('the system clock', () => {
  it('resolves a sleep of no time at once', async () => {
    await systemClock().sleep(0)
  })

  it('ends a sleep with the reason of the signal', async () => {
    const stop = new AbortController()
    const sleeping = systemClock().sleep(60_000, stop.signal)
    const reason = new Error('stopping')
    stop.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
  })

  it('refuses to sleep when the signal was aborted before', async () => {
    const reason = new Error('stopped')
    await expect(systemClock().sleep(0, AbortSignal.abort(reason))).rejects.toBe(reason)
  })

  it('does not wake at once from a sleep longer than a timer can hold', async () => {
    const stop = new AbortController()
    const sleeping = systemClock().sleep(2 ** 32, stop.signal)
    const awake = sleeping.then(
      () => 'awake',
      () => 'stopped',
    )
    expect(await Promise.race([awake, systemClock().sleep(5)])).toBeUndefined()
    stop.abort()
    expect(await awake).toBe('stopped')
  })

  it('never lets the monotonic clock go back', () => {
    const clock = systemClock()
    const first = clock.monotonicMs()
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(first)
  })
})

describe('the fake clock', () => {
  it('stands still until it is moved', async () => {
    const clock = fakeClock(1000)
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1000, 0])
    await clock.advance(250)
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1250, 250])
  })

  it('wakes sleepers in the order of their time, each at its time', async () => {
    const clock = fakeClock(0)
    const woken: string[] = []
    const note = (name: string) => () => void woken.push(`${name} at ${clock.nowMs()}`)
    void clock.sleep(30).then(note('last'))
    void clock.sleep(10).then(note('first'))
    void clock.sleep(20).then(note('second'))
    await clock.advance(25)
    expect(woken).toEqual(['first at 10', 'second at 20'])
    expect(clock.sleeping).toBe(1)
    await clock.advance(5)
    expect(woken.at(-1)).toBe('last at 30')
  })

  it('lets a loop sleep again and again within one step', async () => {
    const clock = fakeClock(0)
    const stop = new AbortController()
    let turns = 0
    async function loop() {
      for (;;) {
        await clock.sleep(1000, stop.signal)
        turns += 1
      }
    }
    const running = loop()
    await clock.advance(10_000)
    expect(turns).toBe(10)
    stop.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(clock.sleeping).toBe(0)
  })

  it('keeps sleepers on their way when the wall clock is set back', async () => {
    const clock = fakeClock(5_000)
    let isAwake = false
    void clock.sleep(100).then(() => (isAwake = true))
    clock.setNow(1_000)
    expect(clock.nowMs()).toBe(1_000)
    await clock.advance(100)
    expect([isAwake, clock.nowMs(), clock.monotonicMs()]).toEqual([true, 1_100, 100])
  })

  it('refuses to sleep when the signal was aborted before', async () => {
    const reason = new Error('stopped')
    await expect(fakeClock().sleep(5, AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})
