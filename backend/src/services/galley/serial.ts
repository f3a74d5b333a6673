import { Unavailable } from '../../contract/error.ts'

/** So many may wait for one key; more means that something stands still. */
const maxWaiting = 64

/** Runs work of one key one after the other, in the order of the calls. */
export type Serial<Key> = <T>(key: Key, work: () => Promise<T>) => Promise<T>

export function serialByKey<Key>(): Serial<Key> {
  const queues = new Map<Key, { last: Promise<unknown>; length: number }>()
  return async function run(key, work) {
    const queue = queues.get(key) ?? { last: Promise.resolve(), length: 0 }
    if (queue.length >= maxWaiting) {
      throw new Unavailable('too many changes wait for one conversation', { retryAfterSeconds: 1 })
    }
    queues.set(key, queue)
    queue.length += 1
    const mine = queue.last.then(work)
    queue.last = mine.catch(() => undefined)
    try {
      return await mine
    } finally {
      queue.length -= 1
      if (queue.length === 0) queues.delete(key)
    }
  }
}
