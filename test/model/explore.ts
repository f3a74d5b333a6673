import { encode } from './encode.ts'
import { promises, type Check } from './promises.ts'
import { ruleNames } from './state.ts'
import type { Bounds, Instance, RuleName, Rules, State, Tenure } from './state.ts'
import { stepsFrom } from './steps.ts'

/** The first state in which a check had something to say. */
export interface Finding {
  readonly check: string
  readonly what: string
  /** One line per step, from the start to that state. */
  readonly trace: readonly string[]
}

export interface Exploration {
  readonly states: number
  readonly transitions: number
  /** Length of the longest shortest path. */
  readonly depth: number
  readonly finding: Finding | undefined
}

export const allRules = Object.fromEntries(ruleNames.map((name) => [name, true])) as Rules

export function allBut(...names: readonly RuleName[]): Rules {
  return { ...allRules, ...Object.fromEntries(names.map((name) => [name, false])) }
}

/** The first instance owns the shard and has found nothing from before. */
export function startState({ instances }: Bounds): State {
  const others = Array.from({ length: instances - 1 })
  const waiting: Instance = { lastId: 0, tenure: undefined, batches: [], sighting: undefined }
  const tenure: Tenure = { epoch: 1, floor: 0, fenced: 0, inherited: [], isReleasing: false }
  const registration = { start: 1, sequence: 0, ceiling: 0 }
  return {
    shard: { owner: 0, ownerStart: 1, epoch: 1, floor: 0 },
    registrations: [registration, ...others.map(() => registration)],
    rows: [],
    release: undefined,
    writes: [],
    instances: [{ ...waiting, tenure }, ...others.map(() => waiting)],
    socket: undefined,
    seen: [],
    answers: [],
    begun: [],
    givenEpoch: 0,
    repeats: 0,
    restarts: 0,
  }
}

/** Breadth first, so that a finding has a shortest trace. */
export function explore(
  rules: Rules,
  bounds: Bounds,
  checks: Readonly<Record<string, Check>> = promises,
): Exploration {
  const named = Object.entries(checks)
  const start = startState(bounds)
  const visited = new Set([encode(start)])
  // For each state in order of discovery: where it came from, and by which step.
  const parents: number[] = [-1]
  const choices: number[] = [0]
  let level: { readonly index: number; readonly state: State }[] = [{ index: 0, state: start }]
  let transitions = 0
  let depth = 0

  const pathTo = (index: number): number[] => {
    const path: number[] = []
    for (let at = index; at > 0; at = parents[at] ?? 0) path.push(choices[at] ?? 0)
    return path.toReversed()
  }

  while (level.length > 0) {
    const following: typeof level = []
    for (const { index, state } of level) {
      let choice = -1
      for (const { next } of stepsFrom(state, rules, bounds)) {
        choice += 1
        transitions += 1
        const key = encode(next)
        if (visited.has(key)) continue
        visited.add(key)
        const nextIndex = parents.push(index) - 1
        choices.push(choice)
        for (const [check, find] of named) {
          const what = find(next)
          if (what === undefined) continue
          const trace = replay(start, pathTo(nextIndex), rules, bounds)
          const finding = { check, what, trace }
          return { states: visited.size, transitions, depth: depth + 1, finding }
        }
        following.push({ index: nextIndex, state: next })
      }
    }
    level = following
    if (level.length > 0) depth += 1
  }
  return { states: visited.size, transitions, depth, finding: undefined }
}

function replay(start: State, path: readonly number[], rules: Rules, bounds: Bounds): string[] {
  const trace: string[] = []
  let state = start
  for (const choice of path) {
    const step = stepsFrom(state, rules, bounds).drop(choice).next().value
    if (step === undefined) throw new Error('a recorded step is not possible any more')
    trace.push(step.label)
    state = step.next
  }
  return trace
}
