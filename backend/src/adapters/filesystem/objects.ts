import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  mkdir,
  open,
  opendir,
  readFile,
  readdir,
  rename,
  rm,
  unlink,
  type FileHandle,
} from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { Unavailable } from '../../contract/error.ts'
import {
  requireObjectKey,
  type ObjectMetadata,
  type ObjectStore,
  type StoredObject,
} from '../../ports/objects.ts'

/** An object is this file; the content that it names was complete and synced before. */
const Description = z.object({
  key: z.string(),
  content: z.uuid(),
  metadata: z.record(z.string(), z.string()),
  sizeBytes: z.int(),
  createdMs: z.number(),
})
type Description = z.infer<typeof Description>

const draftsFolder = '.drafts'
/** No key has a tilde in it, so no key looks like a file of another one. */
const descriptionSuffix = '~.json'

/**
 * Objects as files below `root`: for the key `v3/a` the description `v3/a~.json` and the content
 * `v3/a~<uuid>` that it names. Both are written elsewhere, synced and then given their names; the
 * rename of the description is the moment at which an object appears or changes.
 */
export async function openFilesystem(options: {
  root: string
  nowMs: () => number
}): Promise<ObjectStore> {
  const { root, nowMs } = options
  const drafts = join(root, draftsFolder)

  const pathOf = (key: string): string => join(root, requireObjectKey(key))
  const descriptionPath = (key: string): string => pathOf(key) + descriptionSuffix
  const contentPath = ({ key, content }: Description): string => `${pathOf(key)}~${content}`

  async function describe(key: string): Promise<Description | undefined> {
    const text = await readFile(descriptionPath(key), 'utf8').catch(absent)
    return text === undefined ? undefined : Description.parse(JSON.parse(text))
  }

  async function writeSynced(
    path: string,
    write: (file: FileHandle) => Promise<void>,
  ): Promise<void> {
    const file = await open(path, 'wx', 0o600)
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  async function writeDescription(description: Description): Promise<string> {
    const draft = join(drafts, `${randomUUID()}.json`)
    await writeSynced(draft, (file) => file.writeFile(JSON.stringify(description)))
    return draft
  }

  /** Writes `content` to a draft; it has to be as long as was said. */
  async function writeContent(
    draft: string,
    content: AsyncIterable<Uint8Array>,
    sizeBytes: number,
  ): Promise<void> {
    await writeSynced(draft, async (file) => {
      let written = 0
      for await (const chunk of content) {
        written += chunk.length
        if (written > sizeBytes) break
        await file.writeFile(chunk)
      }
      if (written !== sizeBytes) {
        throw new RangeError(`the content is not ${String(sizeBytes)} bytes long`)
      }
    })
  }

  /** Makes the folder; one that a power cut takes away would take what is in it along. */
  async function makeFolder(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await syncFolder(dirname(made))
    }
  }

  /** A draft of a description names the content of a put that may not have come to its end. */
  async function clearDrafts(): Promise<void> {
    for (const name of (await readdir(drafts).catch(absent)) ?? []) {
      if (!name.endsWith('.json')) continue
      const draft = parseDescription(await readFile(join(drafts, name), 'utf8'))
      if (draft === undefined) continue
      const current = await describe(draft.key)
      if (current?.content !== draft.content) await unlink(contentPath(draft)).catch(absent)
    }
    await rm(drafts, { recursive: true, force: true })
    await makeFolder(drafts)
  }

  async function removeObject(key: string): Promise<boolean> {
    const description = await describe(key)
    if (description === undefined) return false
    const isMine = await unlink(descriptionPath(key)).then(() => true, absent)
    if (isMine !== true) return false
    await unlink(contentPath(description)).catch(absent)
    await syncFolder(dirname(descriptionPath(key)))
    return true
  }

  await clearDrafts()
  return {
    async put(key, content, { sizeBytes, metadata }) {
      const folder = dirname(pathOf(key))
      const created = { key, content: randomUUID(), metadata, sizeBytes, createdMs: nowMs() }
      const draft = join(drafts, created.content)
      let description: string | undefined
      let replaced: Description | undefined
      await asUnavailable('store an object', async () => {
        try {
          await writeContent(draft, content, sizeBytes)
          await makeFolder(folder)
          description = await writeDescription(created)
          await rename(draft, contentPath(created))
          replaced = await describe(key)
          await rename(description, descriptionPath(key))
        } catch (error) {
          for (const path of [draft, contentPath(created), description]) {
            if (path !== undefined) await rm(path, { force: true })
          }
          throw error
        }
        await syncFolder(folder)
        if (replaced !== undefined) await unlink(contentPath(replaced)).catch(absent)
      })
    },
    head: (key) => asUnavailable('look up an object', async () => stored(await describe(key))),
    get: (key, range) =>
      asUnavailable('read an object', async () => {
        const description = await describe(key)
        const object = stored(description)
        if (description === undefined || object === undefined) return undefined
        const bounds = range === undefined ? {} : { start: range.first, end: range.last }
        const path = contentPath(description)
        return { ...object, content: readLazily(() => createReadStream(path, bounds)) }
      }),
    replaceMetadata: (key, metadata: ObjectMetadata) =>
      asUnavailable('change an object', async () => {
        const description = await describe(key)
        if (description === undefined) return false
        await rename(await writeDescription({ ...description, metadata }), descriptionPath(key))
        await syncFolder(dirname(descriptionPath(key)))
        return true
      }),
    remove: (key) => asUnavailable('remove an object', () => removeObject(key)),
    expire: (prefix, olderThanMs) =>
      asUnavailable('remove old objects', async () => {
        const folder = await opendir(pathOf(prefix.replace(/\/$/, '')), { recursive: true }).catch(
          absent,
        )
        let removed = 0
        for await (const entry of folder ?? []) {
          if (!entry.name.endsWith(descriptionSuffix)) continue
          const path = relative(root, join(entry.parentPath, entry.name))
          const key = path.slice(0, -descriptionSuffix.length)
          const description = await describe(key)
          if (description === undefined || description.createdMs >= olderThanMs) continue
          if (await removeObject(key)) removed += 1
        }
        return removed
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function stored(description: Description | undefined): StoredObject | undefined {
  if (description === undefined) return undefined
  const { sizeBytes, metadata, createdMs } = description
  return { sizeBytes, metadata, createdMs }
}

/** Undefined for one that was cut off before it was synced. */
function parseDescription(text: string): Description | undefined {
  try {
    return Description.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Nothing is opened until somebody reads, and nothing stays open when they stop. */
async function* readLazily(
  openStream: () => AsyncIterable<Buffer>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* openStream()
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

const passing = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE'])

/** A full or failing disk is a state that passes, not a defect. */
async function asUnavailable<T>(attempted: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (passing.has(code)) throw new Unavailable(attempted, { cause })
    throw cause
  }
}
