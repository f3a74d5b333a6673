import { parentPort, workerData } from 'node:worker_threads'
import { openCassandra } from '../adapters/cassandra/wide-column.ts'
import type { CassandraOptions } from '../adapters/cassandra/wide-column.ts'
import { systemClock, threadsMs } from '../platform/clock.ts'
import { serveBeat } from '../services/gundeck/ring/beat-thread.ts'
import type { FromBeat, ToBeat } from '../services/gundeck/ring/beat-thread.ts'
import { ringStore, ringTable } from '../services/gundeck/store/ring.ts'
import type { Opening } from './cassandra-beat.ts'

/** Entry point of the thread that gives the sign of life. */

export interface BeatThreadData {
  readonly options: CassandraOptions
}

const port = parentPort
if (!port) throw new Error('this file runs as a worker thread')
const { options } = workerData as BeatThreadData
const tell = (message: Opening | FromBeat): void => port.postMessage(message)

const db = await openCassandra({
  ...options,
  waiting: (reason) => tell({ kind: 'waiting', reason }),
})
await db.open([ringTable])
tell({ kind: 'ready' })
serveBeat(
  {
    post: tell,
    listen: (receive) => void port.on('message', (message: ToBeat) => receive(message)),
    monotonicMs: threadsMs,
  },
  { store: ringStore(db), clock: systemClock() },
)
