import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of a few megabytes, in memory. */
export interface SmallDisk extends AsyncDisposable {
  readonly folder: string
  /** Writes a file until nothing more fits. */
  fill(): Promise<void>
  /** Removes that file. */
  makeRoom(): Promise<void>
}

/** Why there can be no small disk here; undefined when there can. */
export function whyNoSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'needs tmpfs, which is on Linux only'
  if (process.getuid?.() !== 0) return 'needs root, to mount a small file system'
  return undefined
}

export async function mountSmallDisk(sizeMegabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-small-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMegabytes}m`, 'tmpfs', folder])
  const ballast = join(folder, 'ballast')
  return {
    folder,
    async fill() {
      await using file = await open(ballast, 'a')
      for (const sizeBytes of [1024 * 1024, 4096]) {
        const bytes = Buffer.alloc(sizeBytes)
        try {
          for (;;) await file.appendFile(bytes)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
    },
    makeRoom: () => rm(ballast),
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', folder])
      await rm(folder, { recursive: true })
    },
  }
}
