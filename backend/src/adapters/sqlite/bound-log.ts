import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import type { CheckpointReply } from './checkpoint-thread.ts'

/** How much is written between two rounds of moving the log into the file. */
const roundBytes = 4 * 1024 * 1024
/** From here on the writer waits for a round to end, so that the log starts again at its front. */
const restartBytes = 16 * 1024 * 1024
const largestFileBytes = 64 * 1024 * 1024

/**
 * Keeps the write-ahead log small. Another thread moves it into the file beside the writer, but
 * never catches up with one that does not pause, and the log only starts again when nothing in it is
 * left to move. So the writer finishes a round itself now and then, which by then is short.
 */
export function boundLog(db: DatabaseSync, file: string): { committed(sizeBytes: number): void } {
  let thread: Worker | undefined
  let isMoving = false
  let sinceRoundBytes = 0

  function start(): Worker {
    const started = new Worker(new URL('./checkpoint-thread.ts', import.meta.url), {
      workerData: file,
    })
    started.unref()
    started.on('message', ({ leftBytes }: CheckpointReply) => {
      isMoving = false
      if (leftBytes >= restartBytes) finishRound()
    })
    // Started again when there is something to do; until then the log grows.
    started.on('error', () => {
      thread = undefined
      isMoving = false
    })
    return started
  }

  function finishRound(): void {
    const isLarge = statSync(`${file}-wal`).size > largestFileBytes
    try {
      db.exec(`PRAGMA wal_checkpoint(${isLarge ? 'TRUNCATE' : 'RESTART'})`)
    } catch {
      // Such as a full disk: the next commit finds out by itself and answers for it.
    }
  }

  return {
    committed(sizeBytes) {
      sinceRoundBytes += sizeBytes
      if (isMoving || sinceRoundBytes < roundBytes) return
      isMoving = true
      sinceRoundBytes = 0
      thread ??= start()
      thread.postMessage(null)
    },
  }
}
