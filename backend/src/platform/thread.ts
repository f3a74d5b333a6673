import { Worker } from 'node:worker_threads'

/** Starts a thread that runs this module. */
export function startThread(module: URL, workerData: unknown): Worker {
  return new Worker(new URL('./thread.mjs', import.meta.url), { argv: [module.href], workerData })
}
