import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** Entry point of the thread that moves the log into the file, whenever it is told to. */

export type CheckpointRequest = 'round' | 'close'

export interface CheckpointReply {
  /** What the log holds, moved or not. */
  logBytes: number
}

const port = parentPort
if (!port) throw new Error('this file runs as a worker thread')
const db = new DatabaseSync(workerData as string, { timeout: 5000 })
db.exec('PRAGMA synchronous = FULL')
const pageBytes = Number(db.prepare('PRAGMA page_size').get()?.['page_size'])

port.on('message', (request: CheckpointRequest) => {
  if (request === 'close') {
    db.close()
    port.close()
    return
  }
  const round = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
  const reply: CheckpointReply = { logBytes: Number(round?.['log']) * pageBytes }
  port.postMessage(reply)
})
