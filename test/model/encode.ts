import type { Socket, State } from './state.ts'
import { isReleasePossible } from './steps.ts'

const modes: readonly Socket['mode'][] = ['paging', 'gap', 'live']

/**
 * One short string for all states from which the same can happen. Sequences grow without end, but all
 * that matters of them is whether a release on its way can still apply. Which start of an instance it
 * is matters only as "does the shard belong to this one".
 */
export function encode(state: State): string {
  const { shard, socket, answers } = state
  const codes: number[] = [shard.owner, shard.epoch, shard.floor]
  codes.push(state.givenEpoch, state.repeats, state.restarts)

  const release = isReleasePossible(state) ? state.release : undefined
  if (release === undefined) codes.push(0)
  else {
    const isToCurrentStart = release.toStart === state.registrations[release.to]?.start
    codes.push(1, release.to, release.floor, isToCurrentStart ? 1 : 0)
  }

  for (const [i, { lastId, tenure, batches, sighting }] of state.instances.entries()) {
    const { ceiling = 0, start = 0 } = state.registrations[i] ?? {}
    codes.push(lastId, ceiling, shard.owner === i && shard.ownerStart === start ? 1 : 0)
    if (tenure === undefined) codes.push(0)
    else {
      codes.push(tenure.epoch, tenure.floor, tenure.fenced, tenure.isReleasing ? 1 : 0)
      if (tenure.inherited === undefined) codes.push(0)
      else codes.push(tenure.inherited.length + 1, ...tenure.inherited.map(({ id }) => id))
    }
    codes.push(batches.length)
    for (const { row, epoch } of batches) codes.push(row.id, row.request, row.epoch, epoch)
    if (sighting === undefined) codes.push(0)
    else codes.push(sighting.shard.epoch, sighting.shard.owner, sighting.registration.ceiling)
  }

  codes.push(state.rows.length)
  for (const row of state.rows) codes.push(row.id, row.request, row.epoch, row.isLate ? 1 : 0)
  codes.push(state.writes.length)
  for (const row of state.writes) codes.push(row.id, row.request, row.epoch)
  codes.push(answers.length)
  for (const { row, epoch, isBelowEarlier } of answers) {
    codes.push(row.id, row.request, row.epoch, epoch, isBelowEarlier ? 1 : 0)
  }
  codes.push(state.begun.length, ...state.begun, state.seen.length, ...state.seen)

  if (socket === undefined) codes.push(0)
  else {
    const { attachment, mode, position, until, waiting } = socket
    codes.push(1 + modes.indexOf(mode), position, socket.hasRepeated ? 1 : 0)
    codes.push(waiting.length, ...waiting)
    if (attachment === undefined) codes.push(0)
    else codes.push(attachment.epoch, attachment.owner, until)
  }
  return String.fromCharCode(...codes)
}
