import type { History, HistoryEntry } from './history.ts'

/**
 * How long nobody was answered, from the end of a server to the first send that worked again, and
 * how much of it was after the next server had said that it is ready.
 */
function pausesMs(history: History): { whole: number[]; afterStart: number[] } {
  const whole: number[] = []
  const afterStart: number[] = []
  let endedMs: number | undefined
  let startedMs: number | undefined
  for (const { kind, atMs } of history) {
    if (kind === 'server-ended') endedMs ??= atMs
    if (kind === 'server-started') startedMs = atMs
    if (kind !== 'acknowledged' || endedMs === undefined || startedMs === undefined) continue
    whole.push(atMs - endedMs)
    if (startedMs > endedMs) afterStart.push(atMs - startedMs)
    endedMs = undefined
  }
  return { whole, afterStart }
}

function medianAndLongest(pauses: readonly number[]): string {
  const sorted = pauses.toSorted((one, other) => one - other)
  return `median ${sorted[Math.floor(sorted.length / 2)] ?? 0} ms, longest ${sorted.at(-1) ?? 0} ms`
}

/** Why sends had no good answer: status codes and error codes, the frequent first. */
function reasonsOf(history: History): string {
  const counts = new Map<string, number>()
  for (const entry of history) {
    if (entry.kind !== 'unknown' && entry.kind !== 'refused') continue
    const [reason = ''] = entry.reason.split(' ')
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  const sorted = [...counts].sort(([, one], [, other]) => other - one)
  return sorted.map(([reason, times]) => `${times} ${reason}`).join(', ')
}

/** What a history holds, in a few lines for people. */
export function tally(history: History): string[] {
  const count = (matches: (entry: HistoryEntry) => boolean): number =>
    history.filter(matches).length
  const of = (kind: HistoryEntry['kind']): number => count((entry) => entry.kind === kind)
  const ended = (how: 'killed' | 'stopped'): number =>
    count((entry) => entry.kind === 'server-ended' && entry.how === how)
  const atSteps = count((entry) => entry.kind === 'server-ended' && entry.step !== undefined)
  const onPages = history.reduce(
    (sum, entry) => sum + (entry.kind === 'page' ? entry.notifications.length : 0),
    0,
  )
  const setBack = history
    .filter((entry) => entry.kind === 'server-started')
    .filter(
      (entry, index, all) => entry.clockOffsetMs < (all[index - 1]?.clockOffsetMs ?? 0),
    ).length
  const frozen = of('server-frozen')
  const unheard = count((entry) => entry.kind === 'refused' && entry.reason === 'ECONNREFUSED')
  const { whole, afterStart } = pausesMs(history)
  return [
    `kills ${ended('killed')} (${atSteps} at a step), stops ${ended('stopped')}, ` +
      `freezes ${frozen}, clock set back ${setBack} times`,
    `sends ${of('send') - unheard}: ${of('acknowledged')} acknowledged, ` +
      `${of('unknown')} unknown, ${of('refused') - unheard} refused; ${unheard} more found no server`,
    `for want of an answer or a good one: ${reasonsOf(history)}`,
    `sockets ${of('opened')}, notifications on them ${of('shown')}, acknowledgements ${of('acks')}`,
    `pages ${of('asked')}: ${of('page')} read with ${onPages} notifications`,
    `from an end to the next acknowledged send: ${medianAndLongest(whole)}; ` +
      `after the start: ${medianAndLongest(afterStart)}`,
  ]
}
