import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from './cpu.ts'
import { diskSyncMs } from './disk.ts'
import { percentile, printFigure, round, talk } from './figure.ts'
import { preparedSend, type BenchServer } from './fleet.ts'
import { openHttpLine, type HttpLine } from './http-line.ts'
import { countRequests, requestsPer } from './requests.ts'

interface Load {
  readonly pairs: number
  readonly lines: number
  readonly seconds: number
}

/**
 * Durable 1:1 sends to 4 devices: how many a second when `lines` connections send one after the
 * other, and how long one takes at half that rate.
 */
export async function benchSend(server: BenchServer, shape: string, load: Load): Promise<void> {
  talk(`send (${shape}): registering ${String(load.pairs)} pairs`)
  const requests: Buffer[] = []
  for (let i = 0; i < load.pairs; i += 1) {
    requests.push((await preparedSend(server, i)).request)
  }
  const lines = await Promise.all(
    Array.from({ length: load.lines }, () => openHttpLine(server.url)),
  )
  const requestOf = (index: number): Buffer => requests[index % requests.length] ?? Buffer.alloc(0)

  talk('send: warming up')
  await saturate(lines, requestOf, 3)
  talk('send: saturating')
  const cpuBefore = await cpuSeconds(server.pids)
  const full = await saturate(lines, requestOf, load.seconds)
  const cpu = (await cpuSeconds(server.pids)) - cpuBefore
  const ratePerSecond = full.count / full.seconds
  talk(`send: ${String(round(ratePerSecond))}/s; now at half that rate`)
  // Where nothing has to be repeated because it took too long.
  const requestsBefore = await countRequests(server.operators ?? [])
  const half = await pace(lines, requestOf, ratePerSecond / 2, load.seconds)
  const requestsAfter = await countRequests(server.operators ?? [])
  for (const line of lines) line.close()

  printFigure('send', {
    shape,
    pairs: load.pairs,
    connections: load.lines,
    seconds: load.seconds,
    sendsPerSecond: round(ratePerSecond),
    failed: full.failed + half.failed,
    diskSyncMs: diskSyncMs(),
    serverCpuMicrosecondsPerSend: round((cpu * 1e6) / full.count),
    ...(server.operators && {
      requestsPerSend: requestsPer(half.count, requestsBefore, requestsAfter),
    }),
    atFullRate: latencies(full.samplesMs),
    atHalfRate: latencies(half.samplesMs),
  })
}

const latencies = (samplesMs: readonly number[]): object => ({
  p50Ms: round(percentile(samplesMs, 0.5), 2),
  p99Ms: round(percentile(samplesMs, 0.99), 2),
})

interface Outcome {
  count: number
  failed: number
  seconds: number
  samplesMs: number[]
}

async function saturate(
  lines: readonly HttpLine[],
  requestOf: (index: number) => Buffer,
  seconds: number,
): Promise<Outcome> {
  const outcome: Outcome = { count: 0, failed: 0, seconds, samplesMs: [] }
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  await Promise.all(
    lines.map(async (line, index) => {
      while (performance.now() < endMs) await timed(line, requestOf(index), outcome)
    }),
  )
  outcome.seconds = (performance.now() - startedMs) / 1000
  return outcome
}

/** Sends start on schedule, whether or not earlier ones are answered; waiting for a line counts. */
async function pace(
  lines: readonly HttpLine[],
  requestOf: (index: number) => Buffer,
  perSecond: number,
  seconds: number,
): Promise<Outcome> {
  const outcome: Outcome = { count: 0, failed: 0, seconds, samplesMs: [] }
  const free = lines.map((line, index) => ({ line, index }))
  const due: number[] = []
  let running = 0
  const startedMs = performance.now()
  const next = (): void => {
    while (due.length > 0 && free.length > 0) {
      const dueMs = due.shift() ?? 0
      // In turns, or a connection that nobody needs is closed by a balancer.
      const taken = free.shift()
      if (taken === undefined) return
      running += 1
      void timed(taken.line, requestOf(taken.index), outcome, dueMs).then(() => {
        running -= 1
        free.push(taken)
        next()
      })
    }
  }
  let scheduled = 0
  while (performance.now() - startedMs < seconds * 1000) {
    const target = ((performance.now() - startedMs) / 1000) * perSecond
    for (; scheduled < target; scheduled += 1) due.push(startedMs + (scheduled / perSecond) * 1000)
    next()
    await sleep(1)
  }
  while (running > 0 || due.length > 0) await sleep(5)
  return outcome
}

async function timed(
  line: HttpLine,
  request: Buffer,
  outcome: Outcome,
  dueMs: number = performance.now(),
): Promise<void> {
  const status = await line.send(request)
  outcome.count += 1
  if (status !== 201) outcome.failed += 1
  outcome.samplesMs.push(performance.now() - dueMs)
}
