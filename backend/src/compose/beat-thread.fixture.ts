import { parentPort, workerData } from 'node:worker_threads'
import { systemClock, threadsMs } from '../platform/clock.ts'
import { serveBeat } from '../services/gundeck/ring/beat-thread.ts'
import type { ToBeat } from '../services/gundeck/ring/beat-thread.ts'

/** A thread that beats, with a store that counts in memory which the test can see. */

const port = parentPort
if (!port) throw new Error('this file runs as a worker thread')
const beats = workerData as BigInt64Array

port.postMessage({ kind: 'waiting', reason: 'the test says so' })
port.postMessage({ kind: 'ready' })
serveBeat(
  {
    post: (message) => port.postMessage(message),
    listen: (receive) => void port.on('message', (message: ToBeat) => receive(message)),
    monotonicMs: threadsMs,
  },
  {
    clock: systemClock(),
    store: {
      async raise(name, _from, to) {
        if (name === 'dying') process.exit(3)
        Atomics.store(beats, 0, to.sequence)
        return true
      },
      instance: async () => undefined,
    },
  },
)
