import { Unavailable } from '../../../contract/error.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { InstanceState, RingStore } from '../store/ring.ts'
import { createBeat } from './beat.ts'
import type { Beat, BeatDeps, RaiseOutcome } from './beat.ts'

/** One end of a line between two threads: what is posted arrives at the other end, in order. */
interface Port<In, Out> {
  post(message: Out): void
  listen(receive: (message: In) => void): void
  /** A clock that both ends read, and that never goes back. */
  monotonicMs(): number
}
/** At the thread that beats. */
export type BeatPort = Port<ToBeat, FromBeat>
/** At the main thread, which outlives the other. */
export interface MainPort extends Port<FromBeat, ToBeat> {
  /**
   * @param ended The thread is there no more; nothing arrives
   * @param begun There is another one, which knows nothing
   */
  onThread(ended: (error: unknown) => void, begun: () => void): void
}

/** The main thread lives, and says what a raise may write. */
interface Tick {
  /** On the clock that both threads read. */
  readonly atMs: number
  /** The ceiling becomes this, if that is higher. */
  readonly ceiling: bigint
}

export type ToBeat =
  | { readonly kind: 'begin'; readonly name: string; readonly line: InstanceState }
  | { readonly kind: 'rest' }
  | { readonly kind: 'run' | 'tick'; readonly tick: Tick }
  | { readonly kind: 'raise'; readonly call: number; readonly tick: Tick }
  | { readonly kind: 'hold'; readonly call: number }
  | { readonly kind: 'go'; readonly name: string; readonly line: InstanceState | undefined }
export type FromBeat =
  | { readonly kind: 'raised'; readonly line: InstanceState; readonly raisedMs: number }
  | { readonly kind: 'changed' }
  | { readonly kind: 'answered'; readonly call: number; readonly outcome: RaiseOutcome }
  | { readonly kind: 'failed'; readonly call: number; readonly reason: string }
  | { readonly kind: 'held'; readonly call: number; readonly line: InstanceState }
  | { readonly kind: 'log'; readonly text: string; readonly reason: string | undefined }

/**
 * The main thread says so often that it lives. When it has not for `longestHangMs` nobody beats for
 * it: a process that hangs must lose its inboxes. Short of that it may be busy.
 */
export const tickEveryMs = 100
export const longestHangMs = 2000

/**
 * Beats for the main thread at the other end of the line.
 *
 * @param deps.store Over a connection of this thread
 */
export function serveBeat(
  port: BeatPort,
  deps: {
    readonly store: Pick<RingStore, 'raise' | 'instance'>
    readonly clock: Pick<Clock, 'nowMs' | 'sleep'>
  },
): void {
  const { store, clock } = deps
  let name = ''
  let tick: Tick = { atMs: -Infinity, ceiling: 0n }
  let beat: Beat | undefined
  let running: AbortController | undefined
  let isHanging = false

  function isWanted(): boolean {
    const wasHanging = isHanging
    isHanging = port.monotonicMs() - tick.atMs >= longestHangMs
    if (isHanging && !wasHanging) {
      const text = 'this process hangs: no sign of life is given for it'
      port.post({ kind: 'log', text, reason: undefined })
    }
    return !isHanging
  }

  function begin(line: InstanceState): Beat {
    return createBeat({
      store,
      line,
      clock: {
        monotonicMs: () => port.monotonicMs(),
        sleep: (ms, signal) => clock.sleep(ms, signal),
      },
      name: () => name,
      pulse: {
        ceiling: (present) => (tick.ceiling > present ? tick.ceiling : present),
        clockMs: () => clock.nowMs(),
      },
      log: {
        info: (text) => port.post({ kind: 'log', text, reason: undefined }),
        warn: ({ err }, text) => port.post({ kind: 'log', text, reason: reasonOf(err) }),
      },
      raised: (to, raisedMs) => port.post({ kind: 'raised', line: to, raisedMs }),
      isWanted,
    })
  }

  function run(of: Beat): void {
    running?.abort()
    running = new AbortController()
    // Until the main thread says `go`, every beat tells it again.
    void of.run(running.signal, async () => port.post({ kind: 'changed' }))
  }

  async function answer(of: Beat, call: number): Promise<void> {
    try {
      port.post({ kind: 'answered', call, outcome: await of.raise() })
    } catch (error) {
      port.post({ kind: 'failed', call, reason: reasonOf(error) })
    }
  }

  function receive(message: ToBeat): void {
    if (message.kind === 'begin') {
      name = message.name
      beat = begin(message.line)
    }
    if (beat === undefined) return
    switch (message.kind) {
      case 'begin':
        return
      case 'run':
        tick = message.tick
        run(beat)
        return
      case 'rest':
        running?.abort()
        return
      case 'tick':
        tick = message.tick
        return
      case 'raise':
        tick = message.tick
        void answer(beat, message.call)
        return
      case 'hold':
        void hold(beat, message.call)
        return
      case 'go':
        name = message.name
        beat.go(message.line)
    }
  }

  async function hold(of: Beat, call: number): Promise<void> {
    port.post({ kind: 'held', call, line: await of.hold() })
  }

  port.listen(receive)
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/**
 * The beat of a thread of its own, for the main thread. What this knows of the line is what the
 * other thread has told: maybe less than was applied, never more, and never of another line, because
 * nothing is written between `held` or `changed` and `go`.
 */
export function beatOverPort(port: MainPort, deps: BeatDeps): Beat {
  const { name, pulse, clock, log } = deps
  let line = deps.line
  let raisedMs = clock.monotonicMs()
  let calls = 0
  let isThere = true
  let isHeld = false
  const raises = new Map<number, PromiseWithResolvers<RaiseOutcome>>()
  const holds = new Map<number, PromiseWithResolvers<InstanceState>>()
  /** While it runs. */
  let onChanged: (() => void) | undefined

  const tick = (): Tick => ({ atMs: port.monotonicMs(), ceiling: pulse.ceiling(0n) })
  const gone = (): Unavailable => new Unavailable('the thread of the sign of life has ended')

  port.listen((message) => {
    switch (message.kind) {
      case 'raised':
        line = message.line
        // Not when this was told, which may be long after.
        raisedMs = clock.monotonicMs() - (port.monotonicMs() - message.raisedMs)
        return
      case 'changed':
        onChanged?.()
        return
      case 'answered':
        raises.get(message.call)?.resolve(message.outcome)
        raises.delete(message.call)
        return
      case 'failed':
        raises.get(message.call)?.reject(new Unavailable(message.reason))
        raises.delete(message.call)
        return
      case 'held':
        line = message.line
        holds.get(message.call)?.resolve(line)
        holds.delete(message.call)
        return
      case 'log':
        if (message.reason === undefined) log.info(message.text)
        else log.warn({ err: message.reason }, message.text)
    }
  })

  function begin(): void {
    port.post({ kind: 'begin', name: name(), line })
    if (isHeld) port.post({ kind: 'hold', call: 0 })
    if (onChanged) port.post({ kind: 'run', tick: tick() })
  }

  port.onThread(
    (error) => {
      isThere = false
      log.warn({ err: error }, 'the thread of the sign of life has ended')
      for (const { reject } of raises.values()) reject(gone())
      for (const { resolve } of holds.values()) resolve(line)
      raises.clear()
      holds.clear()
    },
    () => {
      isThere = true
      // The line may be further than was told; the first raise finds that out.
      begin()
    },
  )
  begin()

  return {
    get line() {
      return line
    },
    get raisedMs() {
      return raisedMs
    },
    async raise() {
      if (!isThere) throw gone()
      calls += 1
      const answer = Promise.withResolvers<RaiseOutcome>()
      raises.set(calls, answer)
      port.post({ kind: 'raise', call: calls, tick: tick() })
      return answer.promise
    },
    async hold() {
      isHeld = true
      if (!isThere) return line
      calls += 1
      const answer = Promise.withResolvers<InstanceState>()
      holds.set(calls, answer)
      port.post({ kind: 'hold', call: calls })
      return answer.promise
    },
    go(from) {
      isHeld = false
      if (from !== undefined) line = from
      port.post({ kind: 'go', name: name(), line: from })
    },
    async run(signal, changed) {
      let resyncing: Promise<void> | undefined
      onChanged = () => {
        resyncing ??= changed()
          .catch((error: unknown) => log.warn({ err: error }, 'the ring cannot be read'))
          .finally(() => {
            resyncing = undefined
          })
      }
      port.post({ kind: 'run', tick: tick() })
      try {
        for (;;) {
          port.post({ kind: 'tick', tick: tick() })
          await clock.sleep(tickEveryMs, signal)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        onChanged = undefined
        port.post({ kind: 'rest' })
      }
    },
  }
}
