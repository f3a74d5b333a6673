import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Another process uses the data folder. */
export class DataFolderInUse extends Error {
  constructor(path: string, cause: unknown) {
    super(
      `The data folder ${path} is in use by another Tricord. Stop that one first, or give this one ` +
        'a folder of its own with --data.',
      { cause },
    )
    this.name = 'DataFolderInUse'
  }
}

/**
 * Makes the folder and holds it for this process. The lock is one that the operating system takes
 * back when the process ends, however it ends.
 *
 * @throws DataFolderInUse
 */
export async function lockDataFolder(path: string): Promise<AsyncDisposable> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const lock = new DatabaseSync(join(path, '.lock'))
  try {
    // An exclusive transaction that never ends is a lock on the file.
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new DataFolderInUse(path, cause)
  }
  return {
    async [Symbol.asyncDispose]() {
      lock.close()
    },
  }
}
