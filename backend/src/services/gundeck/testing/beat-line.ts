import type { BeatPort, FromBeat, MainPort, ToBeat } from '../ring/beat-thread.ts'

/** A line as between two threads, of which either may stand still. */
export interface BeatLine {
  readonly main: MainPort
  readonly thread: BeatPort
  /** The thread dies: nothing arrives any more. */
  end(): void
}

/**
 * @param atMain Resolves when the main thread can take something, and `atThread` when the other can
 */
export function beatLine(options: {
  readonly monotonicMs: () => number
  readonly atMain?: () => Promise<void>
  readonly atThread?: () => Promise<void>
}): BeatLine {
  const { monotonicMs, atMain, atThread } = options
  let isEnded = false
  let ended: (error: unknown) => void = () => undefined

  function direction<T>(gate: (() => Promise<void>) | undefined) {
    let receive: (message: T) => void = () => undefined
    let last: Promise<void> = Promise.resolve()
    return {
      listen: (receiver: (message: T) => void): void => {
        receive = receiver
      },
      post: (message: T): void => {
        const copy = structuredClone(message)
        last = last.then(async () => {
          await gate?.()
          if (!isEnded) receive(copy)
        })
      },
    }
  }

  const toThread = direction<ToBeat>(atThread)
  const toMain = direction<FromBeat>(atMain)
  return {
    main: {
      post: toThread.post,
      listen: toMain.listen,
      monotonicMs,
      onThread(onEnded) {
        ended = onEnded
      },
    },
    thread: { post: toMain.post, listen: toThread.listen, monotonicMs },
    end() {
      isEnded = true
      ended(new Error('the test ended the thread'))
    },
  }
}
