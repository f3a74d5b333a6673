import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startServerProcess, residentBytes } from '../support/server-process.ts'
import { printFigure, round } from './figure.ts'

const starts = 5

/**
 * Starts: the very first, when Node has compiled nothing yet; then on an empty folder; then on the
 * data that is there.
 */
export async function benchStart(): Promise<void> {
  for (const kind of ['first', 'empty', 'existing'] as const) {
    const readyMs: number[] = []
    const mebibytes: number[] = []
    await using before = kind === 'existing' ? await startServerProcess() : undefined
    if (before !== undefined) {
      before.kill('SIGTERM')
      await before.exit
    }
    for (let i = 0; i < starts; i += 1) {
      await using held = new AsyncDisposableStack()
      if (kind === 'first') held.use(await emptyCompileCache())
      const options = before === undefined ? {} : { data: before.data }
      const server = held.use(await startServerProcess(options))
      readyMs.push(server.readyMs)
      mebibytes.push((await residentBytes(server.pid)) / 1024 / 1024)
    }
    printFigure('start', {
      kind,
      starts,
      medianReadyMs: round(median(readyMs)),
      medianResidentMiB: round(median(mebibytes)),
    })
  }
}

/** What Node keeps of compiled modules, empty for as long as this lives. */
async function emptyCompileCache(): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-compiled-'))
  process.env['NODE_COMPILE_CACHE'] = folder
  return {
    async [Symbol.asyncDispose]() {
      delete process.env['NODE_COMPILE_CACHE']
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
