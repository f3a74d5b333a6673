import { Worker } from 'node:worker_threads'

/** Starts a thread that runs one of the modules of this folder. */
export function startThread(module: `./${string}-thread.ts`, workerData: unknown): Worker {
  return new Worker(new URL('./thread.mjs', import.meta.url), { argv: [module], workerData })
}
