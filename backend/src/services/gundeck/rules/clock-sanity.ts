/** How an instance's clock differs from ours, in milliseconds; ours is 0. */
export interface ClockReading {
  readonly name: string
  readonly offsetMs: number
  /** Order of registration. */
  readonly joined: bigint
}

/** Further away than this from what most say, a clock is not believed. */
const insaneMs = 2000
/** Believed again from here on, so that nothing flutters. */
const saneMs = 1000

/**
 * Those whose clock is too far from the median to give out ids: one with a wrong year would push the
 * ids of all into the future. Of an even number the median is the one of the two in the middle that
 * registered earlier; between them would be a time that nobody's clock shows.
 *
 * @param before Who was not believed so far.
 */
export function insaneClocks(
  readings: readonly ClockReading[],
  before: ReadonlySet<string>,
): Set<string> {
  const sorted = readings.toSorted((a, b) => a.offsetMs - b.offsetMs || compare(a, b))
  const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1)
  const [median] = middle.toSorted(compare)
  if (median === undefined) return new Set()
  const isInsane = ({ name, offsetMs }: ClockReading): boolean =>
    Math.abs(offsetMs - median.offsetMs) > (before.has(name) ? saneMs : insaneMs)
  return new Set(readings.filter(isInsane).map(({ name }) => name))
}

function compare(a: ClockReading, b: ClockReading): number {
  if (a.joined !== b.joined) return a.joined < b.joined ? -1 : 1
  return a.name < b.name ? -1 : 1
}
