import { execFile, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { put, table, update } from '../../ports/wide-column.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { wideColumnContract } from '../../ports/wide-column.contract.ts'
import { openSqlite } from './wide-column.ts'

let folder = ''
let files = 0
let nowMs = 1_760_000_000_000
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sqlite-'))
})
afterAll(() => rm(folder, { recursive: true }))

const newFile = (): string => join(folder, `${(files += 1)}.db`)
const pass = (seconds: number): void => {
  nowMs += seconds * 1000
}

const notes = table({
  name: 'notes',
  partition: { user: 'uuid' },
  cluster: { note: 'int' },
  columns: { text: 'blob' },
})
const user = randomUUID()
const kilobyte = new Uint8Array(1024)

describe('in memory', () => {
  wideColumnContract(() => openSqlite({ file: ':memory:', nowMs: () => nowMs }), pass)
})

describe('in a file', () => {
  // One store for the whole suite, which is how the suite meets a store that is in use.
  let shared: WideColumnStore
  beforeAll(async () => {
    shared = await openSqlite({ file: newFile(), nowMs: () => nowMs })
  })
  afterAll(() => shared[Symbol.asyncDispose]())
  wideColumnContract(() => {
    return Promise.resolve({ ...shared, [Symbol.asyncDispose]: () => Promise.resolve() })
  }, pass)
})

describe('a file', () => {
  it('keeps its rows from one opening to the next', async () => {
    const file = newFile()
    for (const note of [1, 2]) {
      await using store = await openSqlite({ file })
      await store.open([notes])
      await store.put(notes, { user, note, text: kilobyte })
      expect((await store.list(notes, { user })).rows).toHaveLength(note)
    }
  })

  it('commits what one turn of the event loop writes at once', async () => {
    const commits: number[] = []
    await using store = await openSqlite({
      file: newFile(),
      hooks: { afterCommit: (requests) => void commits.push(requests) },
    })
    await store.open([notes])
    await Promise.all([1, 2, 3].map((note) => store.put(notes, { user, note, text: kilobyte })))
    expect(commits).toEqual([3])
  })

  it('commits what waited while the disk was slow at once, and answers when it is done', async () => {
    const { promise: isReleased, resolve: release } = Promise.withResolvers<void>()
    const commits: number[] = []
    const file = newFile()
    await using store = await openSqlite({
      file,
      hooks: {
        async beforeCommit(requests) {
          commits.push(requests)
          await isReleased
        },
      },
    })
    await store.open([notes])
    const answered: number[] = []
    const write = async (note: number) => {
      await store.put(notes, { user, note, text: kilobyte })
      answered.push(note)
    }
    const first = write(1)
    await vi.waitUntil(() => commits.length === 1)
    const others = [2, 3, 4].map((note) => write(note))
    await new Promise((resolve) => void setImmediate(resolve))
    expect(answered).toEqual([])
    expect((await store.list(notes, { user })).rows).toEqual([])
    release()
    await Promise.all([first, ...others])
    expect(commits).toEqual([1, 3])
    expect((await store.list(notes, { user })).rows).toHaveLength(4)
  })

  it('leaves writes of other callers alone when one is wrong', async () => {
    await using store = await openSqlite({ file: newFile() })
    await store.open([notes])
    await store.put(notes, { user, note: 0, text: kilobyte }, { ttlSeconds: 100 })
    const results = await Promise.allSettled([
      store.put(notes, { user, note: 1, text: kilobyte }),
      store.batch([
        put(notes, { user, note: 2, text: kilobyte }),
        // Refused only where it meets the row, which has a TTL.
        update(notes, { user, note: 0 }, { text: kilobyte }),
      ]),
      store.put(notes, { user, note: 3, text: kilobyte }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(results[1]).toMatchObject({ reason: expect.any(TypeError) })
    const { rows } = await store.list(notes, { user })
    expect(rows.map(({ note }) => note)).toEqual([0, 1, 3])
  })

  it('refuses writes at once while too much is waiting', async () => {
    const { promise: isReleased, resolve: release } = Promise.withResolvers<void>()
    await using store = await openSqlite({
      file: newFile(),
      largestWaitingBytes: 100_000,
      hooks: { beforeCommit: () => isReleased },
    })
    await store.open([notes])
    const writes = Array.from({ length: 200 }, (_, note) =>
      store.put(notes, { user, note, text: kilobyte }),
    )
    const settled = Promise.allSettled(writes)
    await expect(writes.at(-1)).rejects.toThrow(Unavailable)
    release()
    const outcomes = await settled
    const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(accepted).toBeGreaterThan(50)
    expect(accepted).toBeLessThan(100)
    expect((await store.list(notes, { user })).rows).toHaveLength(accepted)
  })

  it('keeps its log small while writers do not pause', async () => {
    const file = newFile()
    await using store = await openSqlite({ file })
    await store.open([notes])
    const text = new Uint8Array(64 * 1024)
    let written = 0
    let largestLogBytes = 0
    const write = async (): Promise<void> => {
      while (written < 4000) {
        written += 1
        await store.put(notes, { user, note: written, text })
        largestLogBytes = Math.max(largestLogBytes, statSync(`${file}-wal`).size)
      }
    }
    await Promise.all(Array.from({ length: 64 }, write))
    expect(largestLogBytes).toBeLessThan(64 * 1024 * 1024)
  })

  it('loses nothing that it answered when the process is killed', async () => {
    const file = newFile()
    const script = new URL('./endless-writer.fixture.ts', import.meta.url)
    for (const killAfter of [1, 50, 500]) {
      const writer = fork(script, [file, user], { stdio: 'ignore', execArgv: [] })
      const answered: number[] = []
      await new Promise<void>((resolve, reject) => {
        writer.on('error', reject)
        writer.on('message', (note: number) => {
          answered.push(note)
          if (answered.length === killAfter) resolve()
        })
      })
      writer.kill('SIGKILL')
      await once(writer, 'exit')
      await using store = await openSqlite({ file })
      await store.open([notes])
      for (const note of answered) {
        expect(await store.get(notes, { user, note })).toBeDefined()
      }
      await store.removeRange(notes, { user })
    }
  })

  it('answers Unavailable while the disk is full, reads on, and recovers by itself', async (test) => {
    const mountPoint = join(folder, 'small')
    await mkdir(mountPoint)
    const run = promisify(execFile)
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mountPoint])
    } catch {
      test.skip('needs the right to mount a small file system')
    }
    try {
      await using store = await openSqlite({ file: join(mountPoint, 'notes.db') })
      await store.open([notes])
      const ballast = join(mountPoint, 'ballast')
      await writeFile(ballast, new Uint8Array(2_500_000))
      let written = 0
      let refusal: unknown
      while (refusal === undefined && written < 100) {
        const text = new Uint8Array(64 * 1024)
        try {
          await store.put(notes, { user, note: written, text })
          written += 1
        } catch (error) {
          refusal = error
        }
      }
      expect(refusal).toBeInstanceOf(Unavailable)
      expect(written).toBeGreaterThan(0)
      expect((await store.list(notes, { user })).rows).toHaveLength(written)
      const again = store.put(notes, { user, note: 1000, text: new Uint8Array(64 * 1024) })
      await expect(again).rejects.toThrow(Unavailable)

      await rm(ballast)
      await store.put(notes, { user, note: 1000, text: new Uint8Array(64 * 1024) })
      expect((await store.list(notes, { user })).rows).toHaveLength(written + 1)
    } finally {
      await run('umount', [mountPoint])
    }
  })

  it('goes on when the thread that writes has died', async () => {
    const threads: Worker[] = []
    const noteThread = (thread: Worker): void => void threads.push(thread)
    process.on('worker', noteThread)
    try {
      const { promise: stalled, resolve: stall } = Promise.withResolvers<void>()
      let isFirst = true
      const hooks = {
        beforeCommit() {
          if (!isFirst) return undefined
          isFirst = false
          stall()
          return new Promise<void>(() => undefined)
        },
      }
      await using store = await openSqlite({ file: newFile(), hooks })
      await store.open([notes])
      const lost = store.put(notes, { user, note: 1, text: kilobyte })
      await stalled
      void threads[0]?.terminate()
      await expect(lost).rejects.toThrow(UnknownOutcome)
      const late = store.put(notes, { user, note: 2, text: kilobyte })
      await expect(late).rejects.toThrow(Unavailable)
      expect((await store.list(notes, { user })).rows).toEqual([])

      await vi.waitUntil(() => threads.length === 2, { timeout: 5000 })
      await store.put(notes, { user, note: 3, text: kilobyte })
      expect((await store.list(notes, { user })).rows.map(({ note }) => note)).toEqual([3])
    } finally {
      process.off('worker', noteThread)
    }
  })

  it('says that a file is not a database', async () => {
    const file = newFile()
    await writeFile(file, 'x'.repeat(5000))
    await expect(openSqlite({ file })).rejects.toThrow(/not a database/)
  })

  it('reports damage that it meets, and answers Unavailable', async () => {
    const file = newFile()
    const onFatal = vi.fn<(error: Error) => void>()
    {
      await using store = await openSqlite({ file })
      await store.open([notes])
      const text = new Uint8Array(1000)
      await store.batch(Array.from({ length: 50 }, (_, note) => put(notes, { user, note, text })))
    }
    await using store = await openSqlite({ file, onFatal })
    await store.open([notes])
    // All but the first pages, which hold the schema.
    const bytes = await readFile(file)
    await writeFile(file, bytes.fill(7, 8 * 4096), { flag: 'r+' })
    await expect(store.list(notes, { user })).rejects.toThrow(Unavailable)
    await expect(store.list(notes, { user })).rejects.toThrow(Unavailable)
    expect(onFatal).toHaveBeenCalledOnce()
  })
})

describe('the schema', () => {
  const before = { user, note: 1, text: Uint8Array.of(1) }

  async function openWithNotes(): Promise<WideColumnStore> {
    const store = await openSqlite({ file: ':memory:' })
    await store.open([notes])
    await store.put(notes, before)
    return store
  }

  it('grows by new columns, and shrinks without losing them', async () => {
    await using store = await openWithNotes()
    const now = table({ ...notes, columns: { text: 'blob', title: 'text?' } })
    await store.open([now])
    expect(await store.get(now, before)).toEqual(before)
    const after = { user, note: 2, text: Uint8Array.of(2), title: 'two' }
    await store.put(now, after)
    await store.open([notes])
    expect(await store.get(notes, after)).toEqual({ user, note: 2, text: Uint8Array.of(2) })
    await store.open([now])
    expect(await store.get(now, after)).toEqual(after)
  })

  it.each([
    [
      'a changed key',
      table({ ...notes, cluster: { note: 'bigint' } }),
      /table notes exists with the key \(user uuid \| note int\).*a key never changes/,
    ],
    [
      'another shape',
      table({ ...notes, shape: 'queue' }),
      /\(user uuid \| note int\) \(rows\) and is declared with .* \(queue\)/,
    ],
    [
      'a changed column',
      table({ ...notes, columns: { text: 'text' } }),
      /column notes.text holds blob and is declared as text/,
    ],
    [
      'a new required column when there are rows',
      table({ ...notes, columns: { text: 'blob', title: 'text' } }),
      /notes.title is new and required.*declare it optional \('text\?'\)/,
    ],
  ])('refuses %s and says what to do', async (_, changed, message) => {
    await using store = await openWithNotes()
    await expect(store.open([changed])).rejects.toThrow(message)
    await store.open([notes])
    expect(await store.get(notes, before)).toEqual(before)
  })
})
