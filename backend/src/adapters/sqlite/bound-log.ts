import { statSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import type { CheckpointReply } from './checkpoint-thread.ts'
import type { GroupCommit } from './group-commit.ts'
import { startThread } from '../../platform/thread.ts'

/** How much is written between two rounds of moving the log into the file. */
const roundBytes = 4 * 1024 * 1024
/** From here on the writer finishes a round itself, so that the log starts again at its front. */
const restartBytes = 16 * 1024 * 1024
/** Beyond this the writer waits until the log is empty: rounds are too slow for what is written. */
const largestFileBytes = 48 * 1024 * 1024
/** A request dirties a page of the table and one of its index, besides what it stores. */
const requestBytes = 2 * 4096

/**
 * Keeps the write-ahead log small. Another thread moves it into the file beside the writer, but
 * never catches up with one that does not pause, and the log only starts again when nothing in it is
 * left to move. So the writer finishes a round now and then, which by then is short.
 */
export function boundLog(core: GroupCommit, file: string): GroupCommit {
  let thread: Worker | undefined
  let isMoving = false
  let sinceRoundBytes = 0

  function start(): Worker {
    const started = startThread(new URL('./checkpoint-thread.ts', import.meta.url), file)
    started.on('message', ({ logBytes }: CheckpointReply) => {
      isMoving = false
      if (logBytes >= restartBytes) finishRound('RESTART')
    })
    // Such as a full disk. Started again when there is something to do; until then the log grows.
    started.on('error', () => {
      thread = undefined
      isMoving = false
    })
    return started
  }

  function finishRound(mode: 'RESTART' | 'TRUNCATE'): void {
    try {
      core.db.exec(`PRAGMA wal_checkpoint(${mode})`)
    } catch {
      // The next commit finds out by itself and answers for it.
    }
  }

  function beginRound(): void {
    if (isMoving) return
    isMoving = true
    thread ??= start()
    thread.postMessage('round')
  }

  return {
    ...core,
    async commit(batches) {
      const outcomes = await core.commit(batches)
      for (const { bytes, count } of batches) sinceRoundBytes += bytes.length + count * requestBytes
      if (sinceRoundBytes >= roundBytes) {
        sinceRoundBytes = 0
        if (statSync(`${file}-wal`).size > largestFileBytes) finishRound('TRUNCATE')
        else beginRound()
      }
      return outcomes
    },
    async close() {
      if (thread) {
        const ended = thread
        ended.postMessage('close')
        await new Promise((resolve) => ended.once('exit', resolve))
      }
      // The last connection to close moves the whole log into the file and removes it.
      await core.close()
    },
  }
}
