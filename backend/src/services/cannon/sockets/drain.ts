import type { Clock } from '../../../platform/clock.ts'

/**
 * Closes sockets a batch at a time over `graceSeconds`: all at once, and every client would
 * reconnect, log in and fetch in the same second.
 */
export async function closeSpread<Socket>(
  sockets: readonly Socket[],
  close: (socket: Socket) => void,
  pace: { graceSeconds: number; batchMs: number; smallestBatch: number },
  clock: Clock,
): Promise<void> {
  const batches = (pace.graceSeconds * 1000) / pace.batchMs
  const size = Math.max(pace.smallestBatch, Math.ceil(sockets.length / batches))
  for (let start = 0; start < sockets.length; start += size) {
    if (start > 0) await clock.sleep(pace.batchMs)
    for (const socket of sockets.slice(start, start + size)) close(socket)
  }
}
