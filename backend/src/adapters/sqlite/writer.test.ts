import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { openWriter } from './writer.ts'
import type { Writer, WriterSettings } from './writer.ts'
import type { FromWriter, ToWriter } from './writer-loop.ts'

const statement = { sql: 'INSERT', params: [1] }
const plain = { isConditional: false }
const layout = {
  name: 'notes',
  partition: [],
  cluster: [],
  columns: [],
  shape: 'rows',
} as const

/** The other end of the link, played by the test. */
interface Thread {
  sent: ToWriter[]
  answer(message: FromWriter): void
  end(): void
}

async function open(
  options: Partial<WriterSettings> = {},
): Promise<{ writer: Writer; threads: Thread[] }> {
  const threads: Thread[] = []
  const settings: WriterSettings = {
    file: 'unused',
    synchronous: 'full',
    hooks: {},
    largestWaitingBytes: 1_000_000,
    nowMs: () => 0,
    onFatal: () => undefined,
    ...options,
  }
  const writer = await openWriter(settings, (received, lost) => {
    const sent: ToWriter[] = []
    threads.push({ sent, answer: received, end: () => lost(new Error('gone')) })
    queueMicrotask(() => received({ kind: 'ready' }))
    return { post: (message) => sent.push(message) }
  })
  return { writer, threads }
}

const written = (...outcomes: number[]): FromWriter => ({
  kind: 'written',
  batches: [{ outcomes: Uint8Array.from(outcomes), failures: [] }],
})
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

it('sends what one turn of the event loop writes together', async () => {
  const { writer, threads } = await open()
  const writes = [1, 2, 3].map(() => writer.write([statement], plain))
  expect(threads[0]?.sent).toEqual([])
  await turn()
  expect(threads[0]?.sent).toMatchObject([{ kind: 'writes', count: 3, texts: ['INSERT'] }])
  threads[0]?.answer(written(1, 0, 1))
  expect(await Promise.all(writes)).toEqual([true, false, true])
})

it('refuses at once when too much is waiting, until there is room again', async () => {
  const { writer, threads } = await open({ largestWaitingBytes: 1000 })
  const blob = { sql: 'INSERT', params: [new Uint8Array(1100)] }
  const first = writer.write([blob], plain)
  await turn()
  const refused = writer.write([blob], plain)
  await expect(refused).rejects.toThrow(Unavailable)
  await expect(refused).rejects.not.toThrow(UnknownOutcome)
  await expect(refused).rejects.toMatchObject({ retryAfterSeconds: 1 })
  threads[0]?.answer(written(1))
  await first
  const second = writer.write([blob], plain)
  await turn()
  threads[0]?.answer(written(1))
  expect(await second).toBe(true)
})

it('reports damage', async () => {
  const onFatal = vi.fn<(error: Error) => void>()
  const { writer, threads } = await open({ onFatal })
  const write = writer.write([statement], plain)
  await turn()
  const failure = { kind: 'damaged', message: 'the file is damaged' } as const
  threads[0]?.answer({
    kind: 'written',
    batches: [{ outcomes: Uint8Array.of(2), failures: [failure] }],
  })
  await expect(write).rejects.toThrow(Unavailable)
  expect(onFatal).toHaveBeenCalledOnce()
})

describe('when the thread ends', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('tells what may be written from what is not, and starts another', async () => {
    const { writer, threads } = await open()
    const opened = writer.upgradeSchema([{ ...layout, partition: [], cluster: [], columns: [] }])
    threads[0]?.answer({ kind: 'schema' })
    await opened
    const sent = writer.write([statement], plain)
    await turn()
    const unsent = writer.write([statement], plain)
    threads[0]?.end()
    await expect(sent).rejects.toThrow(UnknownOutcome)
    await expect(unsent).rejects.toThrow(Unavailable)
    await expect(unsent).rejects.not.toThrow(UnknownOutcome)
    await expect(writer.write([statement], plain)).rejects.toThrow(Unavailable)

    vi.advanceTimersByTime(1000)
    await turn()
    // The new thread learns the tables, whose rows expire, and every text that it is sent.
    expect(threads[1]?.sent).toMatchObject([{ kind: 'schema', layouts: [layout] }])
    const again = writer.write([statement], plain)
    await turn()
    expect(threads[1]?.sent.at(-1)).toMatchObject({ kind: 'writes', count: 1, texts: ['INSERT'] })
    threads[1]?.answer({ kind: 'schema' })
    threads[1]?.answer(written(1))
    expect(await again).toBe(true)
  })

  it('keeps starting others while they end', async () => {
    const { writer, threads } = await open()
    for (const ended of [1, 2, 3]) {
      threads.at(-1)?.end()
      vi.advanceTimersByTime(1000)
      await turn()
      expect(threads).toHaveLength(ended + 1)
    }
    const write = writer.write([statement], plain)
    await turn()
    threads.at(-1)?.answer(written(1))
    expect(await write).toBe(true)
  })

  it('does not start another while closing', async () => {
    const { writer, threads } = await open()
    threads[0]?.end()
    await writer.close()
    vi.advanceTimersByTime(1000)
    expect(threads).toHaveLength(1)
  })
})

it('closes when everything that was accepted is answered', async () => {
  const { writer, threads } = await open()
  const write = writer.write([statement], plain)
  const closed = writer.close()
  await expect(writer.write([statement], plain)).rejects.toThrow(Unavailable)
  expect(threads[0]?.sent).toMatchObject([{ kind: 'writes', count: 1 }])
  threads[0]?.answer(written(1))
  expect(await write).toBe(true)
  expect(threads[0]?.sent.at(-1)).toEqual({ kind: 'close' })
  threads[0]?.answer({ kind: 'closed' })
  await closed
})
