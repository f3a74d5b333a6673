import type { Clock } from '../clock.ts'
import type { Registry } from '../../ports/registry.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { JobRefused } from './job.ts'
import type { Job, JobOutcome, Progress, Step, StepContext } from './job.ts'
import { untilAnswered } from '../until-answered.ts'
import { openJournal } from './journal.ts'
import type { Journal, StepRecord } from './journal.ts'

export interface JobDeps {
  readonly registry: Pick<Registry, 'lock'>
  /** Holds the journal; its table is open. */
  readonly db: WideColumnStore
  readonly clock: Clock
  /** Who runs it, for people who wait: host and process. */
  readonly holder: string
  readonly report: (line: string) => void
}

export interface JobOptions {
  readonly signal: AbortSignal
  /** All steps from the beginning, also those that are done. */
  readonly isAgain?: boolean
}

const nothing: Progress = { done: 0 }
const waitNoticeMs = 1000
/** Between two lines about the progress of a step. */
const reportEveryMs = 2000

/**
 * Does what is left of a job, under the lock of its name.
 *
 * @throws {JobRefused} before anything is done
 * @throws {JobSuperseded}
 * @throws the signal's reason when interrupted; the next run goes on from there
 */
export async function runJob(job: Job, deps: JobDeps, options: JobOptions): Promise<JobOutcome> {
  const { registry, db, clock, holder, report } = deps
  await using lock = await lockWithNotice(registry, job.name, clock, report, options.signal)
  const signal = AbortSignal.any([options.signal, lock.signal])
  const patiently = <Result>(work: () => Promise<Result>): Promise<Result> =>
    untilAnswered(work, {
      clock,
      signal,
      attempts: 60,
      waiting: ({ message }) => report(`waiting for the store: ${message}`),
    })

  const journal = await patiently(() =>
    openJournal(db, job.name, { lockToken: lock.fencingToken, holder }),
  )
  const records = await patiently(() => journal.records())
  checkRecords(job, records)

  const done: string[] = []
  const postponed: { name: string; obstacle: string }[] = []
  for (const step of job.steps) {
    signal.throwIfAborted()
    const record = records.get(step.number)
    if (record?.state === 'done' && step.isRepeated !== true && options.isAgain !== true) continue
    const obstacle = await step.obstacle?.()
    if (obstacle !== undefined) {
      report(`step ${step.number} (${step.name}) waits: ${obstacle}`)
      postponed.push({ name: step.name, obstacle })
      continue
    }
    const isGoingOn = record?.state === 'running' && options.isAgain !== true
    report(`step ${step.number} (${step.name}) ${isGoingOn ? 'goes on' : 'begins'}`)
    await runStep(step, isGoingOn ? record : undefined, {
      journal,
      clock,
      report,
      signal,
      patiently,
    })
    report(`step ${step.number} (${step.name}) is done`)
    done.push(step.name)
  }
  return { done, postponed }
}

async function lockWithNotice(
  registry: Pick<Registry, 'lock'>,
  name: string,
  clock: Clock,
  report: (line: string) => void,
  signal: AbortSignal,
) {
  const waiting = new AbortController()
  const notice = clock.sleep(waitNoticeMs, waiting.signal).then(
    () => report(`waiting: another run of ${name} is in progress`),
    () => undefined,
  )
  try {
    return await registry.lock(`job/${name}`, signal)
  } finally {
    waiting.abort()
    await notice
  }
}

/** Whatever a run could not undo is found before it does anything. */
function checkRecords(job: Job, records: ReadonlyMap<number, StepRecord>): void {
  const numbers = job.steps.map(({ number }) => number)
  if (numbers.some((number, index) => number <= (index === 0 ? 0 : (numbers[index - 1] ?? 0)))) {
    throw new TypeError(`${job.name}: the numbers of steps rise from 1`)
  }
  for (const { step, name } of records.values()) {
    if (numbers.includes(step)) continue
    throw new JobRefused(
      `${job.name}: step ${step} (${name}) was done by a newer release. This one is older than the ` +
        'data and must not change it: run the job of the newer release',
    )
  }
  // Steps of every run have no place in the order.
  const repeated = new Set(job.steps.filter((step) => step.isRepeated).map((step) => step.number))
  const ordered = [...records.keys()].filter((number) => !repeated.has(number))
  const lastDone = Math.max(0, ...ordered)
  for (const { number, name, checksum, obstacle } of job.steps) {
    const record = records.get(number)
    if (record !== undefined && record.checksum !== checksum) {
      throw new JobRefused(
        `${job.name}: step ${number} (${name}) was ${record.state === 'done' ? 'done' : 'begun'} with ` +
          `another content (${record.checksum}, now ${checksum}). A step never changes: add one`,
      )
    }
    if (record === undefined && number < lastDone && !repeated.has(number) && !obstacle) {
      throw new JobRefused(
        `${job.name}: step ${number} (${name}) is new, but step ${lastDone} was done already. New ` +
          'steps come last',
      )
    }
  }
}

async function runStep(
  step: Step,
  before: StepRecord | undefined,
  deps: {
    journal: Journal
    clock: Clock
    report: (line: string) => void
    signal: AbortSignal
    patiently: StepContext['patiently']
  },
): Promise<void> {
  const { journal, clock, report, signal, patiently } = deps
  const record: StepRecord = {
    step: step.number,
    name: step.name,
    checksum: step.checksum,
    state: 'running',
    cursor: before?.cursor,
    progress: before?.progress ?? nothing,
    startedMs: before?.startedMs ?? clock.nowMs(),
    endedMs: undefined,
  }
  let latest = record
  let reportedMs = clock.monotonicMs()
  await patiently(() => journal.write(latest))
  await step.run({
    cursor: record.cursor,
    progress: record.progress,
    signal,
    async save(cursor, progress) {
      latest = { ...latest, cursor, progress }
      await patiently(() => journal.write(latest))
      if (clock.monotonicMs() - reportedMs >= reportEveryMs) {
        reportedMs = clock.monotonicMs()
        report(`step ${step.number} (${step.name}): ${shown(progress)}`)
      }
      signal.throwIfAborted()
    },
    patiently,
    report,
  })
  signal.throwIfAborted()
  await patiently(() =>
    journal.write({ ...latest, state: 'done', cursor: undefined, endedMs: clock.nowMs() }),
  )
}

const shown = ({ done, total }: Progress): string =>
  total === undefined ? `${done}` : `${done} of ${total}`
