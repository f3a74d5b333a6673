import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { checkHistory, promises, type CheckOptions } from './checker.ts'
import { formatHistory, type History } from './history.ts'
import { tally } from './tally.ts'

/** Long enough for the server to note what was acknowledged, if it goes on living. */
export const settleMs = 1_000
/** Longer than a loaded machine takes, and shorter than somebody waits. */
const lateMs = 8_000

/** Prints what a history holds, and keeps it in a file when something is wrong with it. */
export async function judge(
  history: History,
  frameFaults: readonly string[],
  notes: readonly string[] = [],
  { movesMs }: Pick<CheckOptions, 'movesMs'> = {},
): Promise<string[]> {
  process.stdout.write(`${[...notes, ...tally(history)].join('\n')}\n`)
  const found = [
    ...checkHistory(history, { settleMs, lateMs, ...(movesMs !== undefined && { movesMs }) }).map(
      ({ kind, text }) => `${kind} (${promises[kind]}): ${text}`,
    ),
    ...frameFaults.map((fault) => `a frame with ${fault}`),
  ]
  if (found.length === 0) return []
  return [`${found.length} faults, history in ${await keep(history)}`, ...found.slice(0, 20)]
}

/** Writes a history to a file of its own; resolves with its path. */
export async function keep(history: History): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'tricord-history-')), 'history.jsonl')
  await writeFile(file, formatHistory(history))
  return file
}
