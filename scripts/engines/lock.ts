/** One holder at a time of a file, across processes. The lock of a holder that died is taken over. */
import { link, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { identityOfSelf, processState, readIdentity } from './process.ts'

export async function withLock<T>(
  file: string,
  options: { say: (line: string) => void; signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  await takeLock(file, options)
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

async function takeLock(
  file: string,
  options: { say: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  const own = `${file}.${String(process.pid)}-${Math.random().toString(36).slice(2)}`
  let hasSaid = false
  try {
    await writeFile(own, await identityOfSelf())
    for (;;) {
      try {
        // A link appears whole or not at all, so nobody reads a lock that is half written.
        await link(own, file)
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const holder = await readIdentity(file)
      if ((await processState(holder)) === 'stopped') {
        await rm(file, { force: true })
        continue
      }
      if (!hasSaid) options.say(`waiting for process ${String(holder?.pid)}, which holds ${file}`)
      hasSaid = true
      await sleep(250, undefined, { signal: options.signal })
    }
  } finally {
    await rm(own, { force: true })
  }
}
