import { Unavailable } from '../../../contract/error.ts'
import type { AppendOutcome } from './append.ts'

/** One call that waits until each of its appends is stored or has failed. */
export class PushCall {
  readonly startedMs: number
  readonly done: Promise<readonly AppendOutcome[]>
  readonly #outcomes: (AppendOutcome | undefined)[]
  readonly #resolve: (outcomes: readonly AppendOutcome[]) => void
  #outstanding: number

  constructor(appends: number, startedMs: number) {
    this.startedMs = startedMs
    this.#outstanding = appends
    this.#outcomes = Array.from({ length: appends })
    const { promise, resolve } = Promise.withResolvers<readonly AppendOutcome[]>()
    this.done = promise
    this.#resolve = resolve
    if (appends === 0) resolve([])
  }

  get isOver(): boolean {
    return this.#outstanding === 0
  }

  settle(index: number, outcome: AppendOutcome): void {
    if (this.#outcomes[index] !== undefined) return
    this.#outcomes[index] = outcome
    this.#outstanding -= 1
    if (this.#outstanding === 0) this.#resolve(this.#outcomes as AppendOutcome[])
  }

  /** The caller has waited long enough; what is in doubt goes on without it. */
  expire(): void {
    const error = new Unavailable('the inbox did not get through to its store in time')
    for (const index of this.#outcomes.keys()) this.settle(index, { kind: 'failed', error })
  }
}
