import { Unavailable } from '../contract/error.ts'
import type { Clock } from '../platform/clock.ts'
import type { Registry } from '../ports/registry.ts'

/** Which instance of a service is called next. */
export interface Instances {
  /**
   * Base URL of one that is up, in turn; those that did not answer lately only when no other is left.
   *
   * @throws Unavailable when there is none.
   */
  addressOf(service: string): string
  /** What became of a call. */
  readonly report: (address: string, isAnswered: boolean) => void
}

const firstDoubtMs = 500
const longestDoubtMs = 10_000

/** Calls go round the instances that the registry knows, past those that do not answer. */
export function createInstances(registry: Registry, clock: Clock): Instances {
  const turns = new Map<string, number>()
  const doubts = new Map<string, { untilMs: number; lastMs: number }>()

  function isDoubtful(address: string): boolean {
    const doubt = doubts.get(address)
    return doubt !== undefined && clock.monotonicMs() < doubt.untilMs
  }

  return {
    addressOf(service) {
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
    },
    report(address, isAnswered) {
      const doubt = doubts.get(address)
      if (isAnswered) {
        if (doubt !== undefined) doubts.delete(address)
        return
      }
      // Longer each time, so that one that hangs is asked by few.
      const lastMs = Math.min(doubt === undefined ? firstDoubtMs : doubt.lastMs * 2, longestDoubtMs)
      doubts.set(address, { untilMs: clock.monotonicMs() + lastMs, lastMs })
    },
  }
}
