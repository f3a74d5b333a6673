import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { Unavailable } from '../../contract/error.ts'
import type { ObjectMetadata, ObjectStore, StoredObject } from '../../ports/objects.ts'

/** What lies beside the content. The content is there before it, so an object is never half. */
const Description = z.object({
  metadata: z.record(z.string(), z.string()),
  sizeBytes: z.int(),
  createdMs: z.number(),
})

const suffix = '.json'
const uploadsFolder = '.uploads'

/**
 * Objects as files below `root`: the content under its key, its description beside it. Both are
 * written elsewhere, synced and then given their names; a description without content or a content
 * without description is no object.
 */
export async function openFilesystem(options: {
  root: string
  nowMs: () => number
}): Promise<ObjectStore> {
  const { root, nowMs } = options
  const uploads = join(root, uploadsFolder)
  // What a crash left unfinished belongs to nobody.
  await rm(uploads, { recursive: true, force: true })
  await mkdir(uploads, { recursive: true })

  const pathOf = (key: string): string => {
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/.test(key)) {
      throw new Error('an object key is made of plain names between slashes')
    }
    return join(root, key)
  }

  async function describe(key: string): Promise<StoredObject | undefined> {
    const text = await readFile(pathOf(key) + suffix, 'utf8').catch(absent)
    return text === undefined ? undefined : Description.parse(JSON.parse(text))
  }

  /** Writes a file that appears under its name whole, and survives a power cut. */
  async function writeWhole(
    path: string,
    write: (handle: Awaited<ReturnType<typeof open>>) => Promise<void>,
  ): Promise<void> {
    const draft = join(uploads, randomUUID())
    try {
      const handle = await open(draft, 'wx', 0o600)
      try {
        await write(handle)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await mkdir(dirname(path), { recursive: true })
      await rename(draft, path)
      await syncFolder(dirname(path))
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  }

  const writeDescription = (key: string, description: z.infer<typeof Description>): Promise<void> =>
    writeWhole(pathOf(key) + suffix, async (handle) => {
      await handle.writeFile(JSON.stringify(description))
    })

  return {
    async put(key, content, { sizeBytes, metadata }) {
      const path = pathOf(key)
      await asUnavailable(async () => {
        await writeWhole(path, async (handle) => {
          let written = 0
          for await (const chunk of content) {
            written += chunk.length
            if (written > sizeBytes) break
            await handle.writeFile(chunk)
          }
          if (written !== sizeBytes) {
            throw new Error(`the content is not ${String(sizeBytes)} bytes long`)
          }
        })
        await writeDescription(key, { metadata, sizeBytes, createdMs: nowMs() })
      })
    },
    head: describe,
    async get(key, range) {
      const description = await describe(key)
      if (description === undefined) return undefined
      const size = await stat(pathOf(key)).catch(absent)
      if (size === undefined) return undefined
      const bounds = range === undefined ? {} : { start: range.first, end: range.last }
      return {
        ...description,
        content: readLazily(() => createReadStream(pathOf(key), bounds)),
      }
    },
    async replaceMetadata(key, metadata: ObjectMetadata) {
      const description = await describe(key)
      if (description === undefined) return false
      await asUnavailable(() => writeDescription(key, { ...description, metadata }))
      return true
    },
    remove: (key) => removeObject(pathOf(key)),
    async expire(prefix, olderThanMs) {
      const folder = pathOf(prefix.replace(/\/$/, ''))
      const names = (await readdir(folder).catch(absent)) ?? []
      let removed = 0
      for (const name of names) {
        if (!name.endsWith(suffix)) continue
        const key = `${prefix.replace(/\/$/, '')}/${name.slice(0, -suffix.length)}`
        const description = await describe(key)
        if (description === undefined || description.createdMs >= olderThanMs) continue
        if (await removeObject(pathOf(key))) removed += 1
      }
      return removed
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** Nothing is opened until somebody reads, and nothing stays open when they stop. */
async function* readLazily(
  openStream: () => AsyncIterable<Buffer>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* openStream()
}

/** The description goes first: without it there is no object. */
async function removeObject(path: string): Promise<boolean> {
  const hadDescription = await unlink(path + suffix).then(() => true, absent)
  await unlink(path).catch(absent)
  if (hadDescription === true) await syncFolder(dirname(path))
  return hadDescription === true
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}

/** A full or failing disk is a state that passes, not a defect. */
async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO' || code === 'EROFS') {
      throw new Unavailable('store an object', { cause })
    }
    throw cause
  }
}
