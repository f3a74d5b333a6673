import { Unavailable } from '../contract/error.ts'
import type { Clock } from '../platform/clock.ts'
import { answersAtAll } from '../platform/http/upstream.ts'
import type { Upstream } from '../platform/http/upstream.ts'
import type { Registry } from '../ports/registry.ts'

/** The instances of the other services, as calls of this process find them. */
export interface Instances {
  /**
   * Calls go to those that are up, in turn; to those that did not answer lately only when no other is
   * left.
   */
  upstreamOf(service: string): Upstream
}

/** What is known of one that was called. */
interface Instance {
  /** To be told when it hangs. */
  readonly calls: Set<(reason: Error) => void>
  answers: number
  isWatched: boolean
  /** It answered nothing at all: asked again until it does. */
  isHanging: boolean
  doubt: { readonly untilMs: number; readonly lastMs: number } | undefined
}

const firstDoubtMs = 500
const longestDoubtMs = 10_000
/** An instance with calls that answers none for so long is asked whether it answers at all. */
const quietMs = 500
/** A busy one may need so long; together with the above it is the pause when a host is lost. */
const answerMs = 2000
/** One that hangs for longer has left the registry long ago. */
const longestHangingMs = 60_000

/**
 * Calls go round the instances that the registry knows, past those that do not answer. When a host is
 * lost or a process stands still, no connection breaks: that shows only when it is asked, and then the
 * calls it has are given up.
 *
 * @param answers Whether a process answers at all, see `answersAtAll`.
 */
export function createInstances(
  registry: Registry,
  clock: Clock,
  answers: typeof answersAtAll = answersAtAll,
): Instances {
  const turns = new Map<string, number>()
  const instances = new Map<string, Instance>()

  function instanceAt(address: string): Instance {
    let instance = instances.get(address)
    if (instance === undefined) {
      instance = {
        calls: new Set(),
        answers: 0,
        isWatched: false,
        isHanging: false,
        doubt: undefined,
      }
      instances.set(address, instance)
    }
    return instance
  }

  function isDoubtful(address: string): boolean {
    const instance = instances.get(address)
    if (instance === undefined) return false
    const { isHanging, doubt } = instance
    return isHanging || (doubt !== undefined && clock.monotonicMs() < doubt.untilMs)
  }

  function choose(service: string): string {
    const all = registry.instances(service)
    if (all.length === 1 && all[0]) return all[0].address
    const serving = all.filter(({ isDraining }) => !isDraining)
    const known = serving.length > 0 ? serving : all
    const good = known.filter(({ address }) => !isDoubtful(address))
    const candidates = good.length > 0 ? good : known
    const turn = turns.get(service) ?? 0
    const chosen = candidates[turn % candidates.length]
    if (chosen === undefined) throw new Unavailable(`find ${service}`)
    turns.set(service, (turn + 1) % 0x4000_0000)
    return chosen.address
  }

  function note(instance: Instance, isAnswered: boolean): void {
    if (isAnswered) {
      instance.answers += 1
      instance.doubt = undefined
      return
    }
    // Longer each time, so that one that keeps failing is asked by few.
    const { doubt } = instance
    const lastMs = Math.min(doubt === undefined ? firstDoubtMs : doubt.lastMs * 2, longestDoubtMs)
    instance.doubt = { untilMs: clock.monotonicMs() + lastMs, lastMs }
  }

  /** As long as there are calls without an answer, or it is not known to have come back. */
  async function watch(address: string, instance: Instance): Promise<void> {
    let hangingSinceMs = Infinity
    const isOver = (): boolean =>
      instance.isHanging
        ? clock.monotonicMs() - hangingSinceMs > longestHangingMs
        : instance.calls.size === 0
    while (!isOver()) {
      const heard = instance.answers
      await clock.sleep(quietMs)
      if (!instance.isHanging && instance.calls.size === 0) continue
      if (instance.answers !== heard || (await answers(address, answerMs))) {
        instance.isHanging = false
        continue
      }
      if (instance.answers !== heard) continue
      if (!instance.isHanging) hangingSinceMs = clock.monotonicMs()
      instance.isHanging = true
      const reason = new Error(`${address} hangs`)
      for (const giveUp of instance.calls) giveUp(reason)
    }
    instance.isHanging = false
    instance.isWatched = false
  }

  return {
    upstreamOf: (service) => ({
      address: () => choose(service),
      begin(address, giveUp) {
        const instance = instanceAt(address)
        instance.calls.add(giveUp)
        if (!instance.isWatched) {
          instance.isWatched = true
          void watch(address, instance)
        }
        return (isAnswered) => {
          instance.calls.delete(giveUp)
          if (isAnswered !== undefined) note(instance, isAnswered)
        }
      },
    }),
  }
}
