import { UnknownOutcome } from '../../contract/error.ts'
import { putIfAbsent, table, updateIf } from '../../ports/wide-column.ts'
import type { ConditionalOperation, Row, WideColumnStore } from '../../ports/wide-column.ts'
import { JobSuperseded, type Progress } from './job.ts'

/**
 * What became of each step of each job: a handful of rows in a partition. Row 0 is the fence: it
 * holds the token of the run that may write, and every write of a step is one conditional batch with
 * it.
 */
export const journalTable = table({
  name: 'jobs_journal',
  partition: { job: 'text' },
  cluster: { step: 'int' },
  columns: {
    name: 'text',
    /** Of the fence: rises with every run. */
    token: 'bigint?',
    /** Of the fence: who runs it, for people. */
    holder: 'text?',
    checksum: 'text?',
    state: 'text?',
    cursor: 'text?',
    done: 'bigint?',
    total: 'bigint?',
    startedMs: 'timestamp?',
    endedMs: 'timestamp?',
  },
  writes: 'conditional',
})

export interface StepRecord {
  readonly step: number
  readonly name: string
  readonly checksum: string
  readonly state: 'running' | 'done'
  readonly cursor: string | undefined
  readonly progress: Progress
  readonly startedMs: number
  readonly endedMs: number | undefined
}

/** The journal of one run, which nobody else writes. */
export interface Journal {
  /** By number. */
  records(): Promise<ReadonlyMap<number, StepRecord>>
  /** @throws {JobSuperseded} */
  write(record: StepRecord): Promise<void>
}

const fenceStep = 0
/**
 * Takes the journal of a job over from whoever had it: that run's next write fails.
 *
 * @param lockToken Of the lock under which this run stands.
 */
export async function openJournal(
  db: WideColumnStore,
  job: string,
  options: { lockToken: bigint; holder: string },
): Promise<Journal> {
  const { lockToken, holder } = options
  const token = await takeFence()

  async function takeFence(): Promise<bigint> {
    const key = { job, step: fenceStep }
    for (;;) {
      const before = await db.get(journalTable, key, { isSerial: true })
      // A registry that was set up anew counts from the beginning; the fence never goes back.
      const taken = max(lockToken, (before?.token ?? 0n) + 1n)
      const changes = { token: taken, holder }
      const isTaken =
        before === undefined
          ? await db.putIfAbsent(journalTable, { ...key, name: 'fence', ...changes })
          : await db.updateIf(journalTable, key, { token: before.token }, changes)
      if (isTaken) return taken
    }
  }

  async function readRows(): Promise<Row<typeof journalTable>[]> {
    const rows: Row<typeof journalTable>[] = []
    let page: string | undefined
    do {
      const found = await db.list(journalTable, { job }, { page, isSerial: true })
      rows.push(...found.rows)
      page = found.next
    } while (page !== undefined)
    return rows
  }

  return {
    async records() {
      const rows = await readRows()
      const steps = rows.filter(({ step }) => step !== fenceStep)
      return new Map(steps.map((row) => [row.step, fromRow(row)]))
    },

    async write(record) {
      // What is written depends on nothing that is stored but the fence, so it may be repeated.
      for (;;) {
        const rows = await readRows()
        if (rows.find(({ step }) => step === fenceStep)?.token !== token) {
          throw new JobSuperseded(job)
        }
        const isKnown = rows.some(({ step }) => step === record.step)
        const operations: ConditionalOperation[] = [
          updateIf(journalTable, { job, step: fenceStep }, { token }, {}),
          isKnown
            ? updateIf(journalTable, { job, step: record.step }, {}, toColumns(record))
            : putIfAbsent(journalTable, { job, step: record.step, ...toColumns(record) }),
        ]
        try {
          if (await db.batchIf(operations)) return
        } catch (error) {
          if (!(error instanceof UnknownOutcome)) throw error
        }
      }
    },
  }
}

const max = (one: bigint, other: bigint): bigint => (one > other ? one : other)

function toColumns(record: StepRecord) {
  const { name, checksum, state, cursor, progress, startedMs, endedMs } = record
  const total = progress.total === undefined ? undefined : BigInt(progress.total)
  return {
    name,
    checksum,
    state,
    cursor,
    done: BigInt(progress.done),
    total,
    startedMs,
    endedMs,
  }
}

function fromRow(row: Row<typeof journalTable>): StepRecord {
  return {
    step: row.step,
    name: row.name,
    checksum: row.checksum ?? '',
    state: row.state === 'done' ? 'done' : 'running',
    cursor: row.cursor,
    progress: {
      done: Number(row.done ?? 0n),
      ...(row.total === undefined ? {} : { total: Number(row.total) }),
    },
    startedMs: row.startedMs ?? 0,
    endedMs: row.endedMs,
  }
}
