import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Unavailable } from '../../contract/error.ts'
import { objectsContract } from '../../ports/objects.contract.ts'
import { openFilesystem } from './objects.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tricord-objects-'))
})
afterEach(() => rm(root, { recursive: true }))

objectsContract(() => openFilesystem({ root, nowMs: Date.now }))

const options = { sizeBytes: 3, metadata: {} }
async function* content(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)

it('clears away what a crash left unfinished, at any step', async () => {
  {
    await using store = await openFilesystem({ root, nowMs: Date.now })
    await store.put('v3/whole', content('abc'), options)
  }
  const drafts = join(root, '.drafts')
  const before = await filesIn(root)
  // Before the content was complete, and before the description was.
  await writeFile(join(drafts, randomUUID()), 'half')
  await writeFile(join(drafts, `${randomUUID()}.json`), '{"key":')
  // After the content got its name; once for a new object, once for one that is replaced.
  for (const key of ['v3/new', 'v3/whole']) {
    const id = randomUUID()
    await writeFile(join(root, `${key}~${id}`), 'abc')
    const description = { key, content: id, metadata: {}, sizeBytes: 3, createdMs: 0 }
    await writeFile(join(drafts, `${randomUUID()}.json`), JSON.stringify(description))
  }
  await using store = await openFilesystem({ root, nowMs: Date.now })
  expect(await filesIn(root)).toEqual(before)
  expect(await store.head('v3/new')).toBeUndefined()
  expect(await store.get('v3/whole')).toBeDefined()
})

it('leaves no file behind a put that failed, was replaced or was removed', async () => {
  await using store = await openFilesystem({ root, nowMs: Date.now })
  await expect(store.put('v3/a', content('too long'), options)).rejects.toThrow(RangeError)
  expect(await filesIn(root)).toEqual([])
  await store.put('v3/a', content('abc'), options)
  await store.put('v3/a', content('def'), options)
  expect(await filesIn(root)).toHaveLength(2)
  await store.remove('v3/a')
  expect(await filesIn(root)).toEqual([])
})

it('keeps objects whose keys look like files of one another apart', async () => {
  await using store = await openFilesystem({ root, nowMs: Date.now })
  for (const key of ['a', 'a.json', 'a/b', 'a/b.json']) {
    await store.put(key, content('abc'), { sizeBytes: 3, metadata: { key } })
  }
  for (const key of ['a', 'a.json', 'a/b', 'a/b.json']) {
    expect((await store.head(key))?.metadata).toEqual({ key })
  }
})

it('answers Unavailable while the disk is full, reads on, and recovers by itself', async (test) => {
  const mountPoint = join(root, 'small')
  await mkdir(mountPoint)
  const run = promisify(execFile)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint])
  } catch {
    test.skip('needs the right to mount a small file system')
  }
  try {
    await using store = await openFilesystem({ root: mountPoint, nowMs: Date.now })
    await store.put('v3/a', content('abc'), options)
    const large = 'x'.repeat(2_000_000)
    const put = store.put('v3/b', content(large), { sizeBytes: large.length, metadata: {} })
    await expect(put).rejects.toThrow(Unavailable)
    expect(await store.head('v3/a')).toBeDefined()
    await store.put('v3/b', content('abc'), options)
    expect(await store.head('v3/b')).toBeDefined()
  } finally {
    await run('umount', [mountPoint])
  }
})
