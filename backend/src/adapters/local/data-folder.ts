import { mkdir, readFile, writeFile } from 'node:fs/promises'
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

/** The data belongs to another backend domain than the one configured. */
export class OtherDomain extends Error {
  constructor(path: string, known: string, configured: string) {
    super(
      `The data folder ${path} belongs to the backend domain ${known}, and ${configured} is ` +
        'configured. The domain is part of every id and cannot change: use the old one, or an ' +
        'empty folder.',
    )
    this.name = 'OtherDomain'
  }
}

/**
 * Binds the folder to its backend domain at the first start, and holds later starts to it.
 *
 * @throws OtherDomain
 */
export async function bindDomain(path: string, domain: string): Promise<void> {
  const file = join(path, 'domain')
  const known = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (known === undefined) await writeFile(file, `${domain}\n`, { flush: true })
  else if (known.trim() !== domain) throw new OtherDomain(path, known.trim(), domain)
}
