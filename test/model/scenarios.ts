import type { Check, PromiseName } from './promises.ts'
import type { Bounds, RuleName } from './state.ts'

const nothing: Bounds = {
  instances: 2,
  lead: 2,
  reader: 'pages',
  moves: 0,
  restarts: 0,
  appends: 2,
  repeats: 0,
}
const pages = nothing
const socket: Bounds = { ...nothing, reader: 'socket' }

/** Runs with `npm test`, in seconds. */
export const cut: readonly Bounds[] = [
  { ...pages, instances: 3, moves: 2, lead: 1 },
  { ...pages, moves: 1, appends: 3 },
  { ...pages, moves: 1, repeats: 1 },
  { ...pages, moves: 1, restarts: 1, repeats: 1 },
  { ...socket, moves: 1 },
  { ...socket, moves: 1, lead: 1, repeats: 1 },
]

/** Runs on demand: some million states each. */
export const full: readonly Bounds[] = [
  { ...pages, instances: 3, moves: 2, appends: 3 },
  { ...pages, instances: 3, moves: 2, repeats: 1 },
  { ...pages, moves: 1, appends: 5 },
  { ...pages, moves: 2, restarts: 1, repeats: 1 },
  { ...socket, moves: 1, repeats: 1 },
  { ...socket, moves: 2, lead: 1, repeats: 1 },
  { ...socket, instances: 3, moves: 2, lead: 1 },
]

/** For each rule the smallest run that shows what it is for, and the promise that breaks. */
export const removals: Readonly<Record<RuleName, { breaks: PromiseName; bounds: Bounds }>> = {
  fence: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  fenceOrder: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  shardEpoch: { breaks: 'd3', bounds: { ...pages, moves: 2 } },
  ceiling: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  floor: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  asRead: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  raise: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  repeat: { breaks: 'd3', bounds: { ...pages, moves: 1, repeats: 1 } },
  release: { breaks: 'd3', bounds: { ...pages, moves: 1 } },
  inheritedRead: { breaks: 'd3', bounds: { ...pages, moves: 1, repeats: 1 } },
  predecessorOnly: { breaks: 'd3', bounds: { ...pages, moves: 2, repeats: 1 } },
  readBeforeAttach: { breaks: 'd3', bounds: { ...socket, moves: 1, lead: 1, repeats: 1 } },
  attach: { breaks: 'd3', bounds: socket },
  merge: { breaks: 'd4', bounds: socket },
}

/** What must be reachable, so that promises are not kept merely because nothing happens. */
export const witnesses: Readonly<Record<string, { bounds: Bounds; reached: Check }>> = {
  'the first and the third owner acknowledge one append each': {
    bounds: { ...pages, instances: 3, moves: 2 },
    reached: ({ answers }) =>
      answers[0]?.epoch === 1 && answers[1]?.epoch === 3 ? 'both acknowledged' : undefined,
  },
  'a successor answers a repeat with the row of its predecessor': {
    bounds: { ...pages, moves: 1, appends: 1, repeats: 1 },
    reached: ({ answers }) =>
      answers.some(({ row, epoch }) => epoch > row.epoch) ? 'answered' : undefined,
  },
  'a write lands after the successor gave out an id': {
    bounds: { ...pages, moves: 1 },
    reached: ({ rows }) => (rows.some(({ isLate }) => isLate) ? 'landed' : undefined),
  },
  'an owner goes on after a release and acknowledges more': {
    bounds: { ...pages, moves: 1, appends: 1 },
    reached: ({ release, answers }) =>
      release !== undefined && answers.some(({ row }) => row.id > release.floor)
        ? 'acknowledged'
        : undefined,
  },
  'an instance takes over from its earlier start': {
    bounds: { ...pages, instances: 1, moves: 1, restarts: 1 },
    reached: ({ answers }) =>
      new Set(answers.map(({ epoch }) => epoch)).size === 2 ? 'both acknowledged' : undefined,
  },
  'one socket gets appends of two owners': {
    bounds: { ...socket, moves: 1 },
    reached: ({ socket: open, seen, answers }) =>
      seen.length === 2 && open?.attachment?.epoch === 2 && answers[0]?.epoch === 1
        ? 'both seen'
        : undefined,
  },
}

export function describeBounds({ reader, lead, ...counted }: Bounds): string {
  const client = reader === 'pages' ? 'a client that pages' : 'a client with a socket'
  const counts = Object.entries({ ...counted, lead }).filter(([, count]) => count > 0)
  return [client, ...counts.map(([name, count]) => `${name} ${count}`)].join(', ')
}
