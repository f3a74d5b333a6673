import { startServerProcess, residentBytes } from '../support/server-process.ts'
import { printFigure, round } from './figure.ts'

const starts = 5

/** Cold start on an empty folder, then on the data that is there. */
export async function benchStart(): Promise<void> {
  for (const kind of ['empty', 'existing'] as const) {
    const readyMs: number[] = []
    const mebibytes: number[] = []
    await using first = kind === 'existing' ? await startServerProcess() : undefined
    if (first !== undefined) {
      first.kill('SIGTERM')
      await first.exit
    }
    for (let i = 0; i < starts; i += 1) {
      await using server = await startServerProcess(first === undefined ? {} : { data: first.data })
      readyMs.push(server.readyMs)
      mebibytes.push((await residentBytes(server.pid)) / 1024 / 1024)
    }
    const median = (values: number[]): number =>
      values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
    printFigure('start', {
      data: kind,
      starts,
      medianReadyMs: round(median(readyMs)),
      medianResidentMiB: round(median(mebibytes)),
    })
  }
}
