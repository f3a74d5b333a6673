import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterProcesses } from '../support/cluster-processes.ts'
import { percentile, printFigure, round, talk } from './figure.ts'
import { preparedSend, type BenchServer } from './fleet.ts'
import { openHttpLine } from './http-line.ts'

/** Between two sends of one pair. */
const pauseMs = 200
/** How long sends go on after the new owner's first acknowledgement, and after the old one's start. */
const calmMs = 3_000

/**
 * Pairs write to one another while one of two gundecks is killed again and again. How long did the
 * pair wait that waited longest, from the last acknowledged send to the next one?
 */
export async function benchTakeover(
  cluster: ClusterProcesses,
  server: BenchServer,
  { pairs, kills }: { pairs: number; kills: number },
): Promise<void> {
  talk(`takeover: registering ${String(pairs)} pairs`)
  const requests: Buffer[] = []
  for (let i = 0; i < pairs; i += 1) requests.push((await preparedSend(server, i)).request)
  const acknowledgedMs = requests.map(() => [performance.now()])
  let refused = 0
  let isOver = false
  const writing = requests.map(async (request, index) => {
    let line = await openHttpLine(server.url)
    while (!isOver) {
      const status = await line.send(request).catch(() => 0)
      if (status === 201) acknowledgedMs[index]?.push(performance.now())
      else refused += 1
      if (status === 0) line = await openHttpLine(server.url)
      await sleep(pauseMs)
    }
    line.close()
  })
  await sleep(calmMs)
  const longestMs: number[] = []
  for (let kill = 0; kill < kills; kill += 1) {
    const name = kill % 2 === 0 ? 'gundeck-1' : 'gundeck-2'
    const killedMs = performance.now()
    cluster.processes[name].kill('SIGKILL')
    await untilAllWroteSince(performance.now() + 500)
    const pausesMs = acknowledgedMs.map((times) => longestPauseMs(times, killedMs))
    longestMs.push(Math.max(...pausesMs))
    talk(`takeover: ${name} killed, longest pause ${String(round(longestMs.at(-1) ?? 0))} ms`)
    await cluster.start(name)
    await sleep(calmMs)
  }
  isOver = true
  await Promise.all(writing)
  printFigure('takeover', {
    pairs,
    kills,
    acknowledged: acknowledgedMs.reduce((sum, times) => sum + times.length - 1, 0),
    refused,
    longestPauseMs: {
      median: round(percentile(longestMs, 0.5)),
      longest: round(Math.max(...longestMs)),
    },
  })

  async function untilAllWroteSince(sinceMs: number): Promise<void> {
    const lateMs = performance.now() + 60_000
    while (!acknowledgedMs.every((times) => (times.at(-1) ?? 0) > sinceMs)) {
      if (performance.now() > lateMs) throw new Error('a pair cannot write any more')
      await sleep(20)
    }
  }
}

/** Of the pauses that end after `fromMs`. */
function longestPauseMs(timesMs: readonly number[], fromMs: number): number {
  const pauses = timesMs.slice(1).map((timeMs, index) => {
    const beforeMs = timesMs[index] ?? timeMs
    return timeMs > fromMs ? timeMs - beforeMs : 0
  })
  return Math.max(0, ...pauses)
}
