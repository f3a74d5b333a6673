import { beforeEach, describe, expect, it } from 'vitest'
import { localRegistry } from '../../adapters/local/registry.ts'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { fakeClock, type FakeClock } from '../fake-clock.ts'
import { table, type WideColumnStore } from '../../ports/wide-column.ts'
import type { Job, Step } from './job.ts'
import { JobRefused, JobSuperseded } from './job.ts'
import { journalTable, openJournal } from './journal.ts'
import { runJob, type JobDeps } from './run-job.ts'
import { forEachRow } from './scan-step.ts'

let db: WideColumnStore
let clock: FakeClock
let lines: string[]
let deps: JobDeps
const never = new AbortController().signal
const notes = table({
  name: 'notes',
  partition: { id: 'int' },
  cluster: {},
  columns: { text: 'text' },
})

beforeEach(async () => {
  db = await openSqlite({ file: ':memory:' })
  await db.open([journalTable, notes])
  clock = fakeClock()
  lines = []
  deps = {
    registry: localRegistry(),
    db,
    clock,
    holder: 'host 1',
    report: (line) => void lines.push(line),
  }
})

const step = (number: number, ran: number[], options: Partial<Step> = {}): Step => ({
  number,
  name: `step-${number}`,
  checksum: `sum-${number}`,
  run: () => {
    ran.push(number)
    return Promise.resolve()
  },
  ...options,
})
const jobOf = (...steps: Step[]): Job => ({ name: 'galley-migrate-data', steps })

describe('a job', () => {
  it('does its steps in order, and each of them once', async () => {
    const ran: number[] = []
    const job = jobOf(step(1, ran), step(2, ran))
    expect(await runJob(job, deps, { signal: never })).toEqual({
      done: ['step-1', 'step-2'],
      postponed: [],
    })
    expect(await runJob(job, deps, { signal: never })).toEqual({ done: [], postponed: [] })
    await runJob(jobOf(...job.steps, step(3, ran)), deps, { signal: never })
    expect(ran).toEqual([1, 2, 3])
  })

  it('does everything again when told so, and repeated steps every time', async () => {
    const ran: number[] = []
    const job = jobOf(step(1, ran), step(2, ran, { isRepeated: true }))
    await runJob(job, deps, { signal: never })
    await runJob(job, deps, { signal: never })
    await runJob(job, deps, { signal: never, isAgain: true })
    expect(ran).toEqual([1, 2, 2, 1, 2])
  })

  it('runs in one process at a time', async () => {
    let running = 0
    const slow = step(1, [], {
      async run() {
        running += 1
        expect(running).toBe(1)
        await new Promise((resolve) => void setImmediate(resolve))
        running -= 1
      },
    })
    const outcomes = await Promise.all(
      [1, 2, 3].map(() => runJob(jobOf(slow), deps, { signal: never })),
    )
    expect(outcomes.map(({ done }) => done.length)).toEqual([1, 0, 0])
  })

  it('goes on where it was interrupted', async () => {
    for (let id = 0; id < 10; id += 1) await db.put(notes, { id, text: 'old' })
    const stop = new AbortController()
    const met: number[] = []
    const copy = step(1, [], {
      run: (context) =>
        forEachRow(
          db,
          notes,
          context,
          async (rows) => {
            met.push(...rows.map(({ id }) => id))
            if (met.length === 6) stop.abort(new Error('SIGTERM'))
          },
          { rowsAtOnce: 3 },
        ),
    })
    await expect(runJob(jobOf(copy), deps, { signal: stop.signal })).rejects.toThrow('SIGTERM')
    const records = await (
      await openJournal(db, 'galley-migrate-data', {
        lockToken: 9n,
        holder: 'test',
      })
    ).records()
    expect(records.get(1)).toMatchObject({ state: 'running', progress: { done: 6 } })
    expect(await runJob(jobOf(copy), deps, { signal: never })).toMatchObject({ done: ['step-1'] })
    expect(met.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(lines).toContain('step 1 (step-1) goes on')
  })

  it('leaves a step that waits for something, and does the ones behind it', async () => {
    const ran: number[] = []
    let obstacle: string | undefined = 'an old brig runs'
    const waiting = step(1, ran, { obstacle: () => Promise.resolve(obstacle) })
    const job = jobOf(waiting, step(2, ran))
    expect(await runJob(job, deps, { signal: never })).toEqual({
      done: ['step-2'],
      postponed: [{ name: 'step-1', obstacle }],
    })
    obstacle = undefined
    expect(await runJob(job, deps, { signal: never })).toMatchObject({ done: ['step-1'] })
    expect(ran).toEqual([2, 1])
  })

  it.each([
    ['of an older release', [1], /newer release/],
    ['whose done step has changed', [1, -3], /another content/],
    ['with a new step before one that is done', [1, 2, 3, 4], /come last/],
  ])('%s is refused before it does anything', async (_, numbers, reason) => {
    const ran: number[] = []
    const before = [1, 3].map((number) => step(number, ran))
    await runJob(jobOf(...before), deps, { signal: never })
    ran.length = 0
    const steps = numbers.map((number) =>
      number < 0 ? step(-number, ran, { checksum: 'other' }) : step(number, ran),
    )
    const refused = runJob(jobOf(...steps), deps, { signal: never })
    await expect(refused).rejects.toThrow(JobRefused)
    await expect(refused).rejects.toThrow(reason)
    expect(ran).toEqual([])
  })

  it('stops when another run took its journal over', async () => {
    const taken = step(1, [], {
      async run(context) {
        await openJournal(db, 'galley-migrate-data', { lockToken: 0n, holder: 'other' })
        await context.save('half', { done: 1 })
      },
    })
    const job = runJob(jobOf(taken), deps, { signal: never })
    await expect(job).rejects.toThrow(JobSuperseded)
    const row = await db.get(journalTable, { job: 'galley-migrate-data', step: 1 })
    expect(row).toMatchObject({ state: 'running' })
    expect(row?.cursor).toBeUndefined()
  })

  it('waits for a store that is away, with one line, and writes what it could not', async () => {
    let failures = 3
    const away: WideColumnStore = {
      ...db,
      batchIf(operations) {
        failures -= 1
        return failures < 0 ? db.batchIf(operations) : Promise.reject(new Unavailable('no quorum'))
      },
    }
    const ran: number[] = []
    const job = runJob(jobOf(step(1, ran)), { ...deps, db: away }, { signal: never })
    while (failures >= 0) await clock.advance(1000)
    expect(await job).toMatchObject({ done: ['step-1'] })
    expect(lines.filter((line) => line.startsWith('waiting'))).toEqual([
      'waiting for the store: no quorum',
    ])
  })

  it('finds out what became of a write that was not answered', async () => {
    let writes = 0
    const lossy: WideColumnStore = {
      ...db,
      async batchIf(operations) {
        writes += 1
        const isApplied = writes % 3 === 2 || (await db.batchIf(operations))
        if (writes % 3 === 0) return isApplied
        throw new UnknownOutcome('no answer')
      },
    }
    const ran: number[] = []
    const outcome = await runJob(
      jobOf(step(1, ran), step(2, ran)),
      { ...deps, db: lossy },
      {
        signal: never,
      },
    )
    expect(outcome.done).toEqual(['step-1', 'step-2'])
    expect(ran).toEqual([1, 2])
    for (const number of [1, 2]) {
      const row = await db.get(journalTable, { job: 'galley-migrate-data', step: number })
      expect(row?.state).toBe('done')
    }
  })
})
