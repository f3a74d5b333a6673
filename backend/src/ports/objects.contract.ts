import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ObjectStore } from './objects.ts'

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of content) all.push(chunk)
  return Buffer.concat(all)
}

/** What every object store does; callers rely on nothing else. */
export function objectsContract(open: () => Promise<ObjectStore>): void {
  describe('an object store', () => {
    it('gives back what was put, with its metadata', async () => {
      await using store = await open()
      await store.put('v3/a/one', chunks('hel', 'lo'), { sizeBytes: 5, metadata: { owner: 'x@y' } })
      const object = await store.get('v3/a/one')
      expect(object).toMatchObject({ sizeBytes: 5, metadata: { owner: 'x@y' } })
      if (object === undefined) throw new Error('absent')
      expect((await bytesOf(object.content)).toString()).toBe('hello')
      expect(await store.head('v3/a/one')).toMatchObject({ sizeBytes: 5 })
    })

    it('gives a part', async () => {
      await using store = await open()
      await store.put('k', chunks('0123456789'), { sizeBytes: 10, metadata: {} })
      const object = await store.get('k', { first: 2, last: 4 })
      if (object === undefined) throw new Error('absent')
      expect((await bytesOf(object.content)).toString()).toBe('234')
    })

    it('gives single bytes, the whole and nothing beyond the end, each with the whole size', async () => {
      await using store = await open()
      await store.put('k', chunks('0123456789'), { sizeBytes: 10, metadata: {} })
      for (const [first, last, part] of [
        [0, 0, '0'],
        [9, 9, '9'],
        [0, 9, '0123456789'],
        [10, 12, ''],
        [99, 100, ''],
      ] as const) {
        const object = await store.get('k', { first, last })
        expect(object?.sizeBytes).toBe(10)
        expect((await bytesOf(object?.content ?? chunks('absent'))).toString()).toBe(part)
      }
    })

    it('keeps metadata to the letter, whatever it is made of', async () => {
      await using store = await open()
      const metadata = { 'a-1': ' Zoë %20 "x"=; ', b: '', 'long-one': 'ö'.repeat(100) }
      await store.put('k', chunks('x'), { sizeBytes: 1, metadata })
      expect((await store.head('k'))?.metadata).toEqual(metadata)
      expect(await store.replaceMetadata('k', { c: 'ß\n' })).toBe(true)
      expect((await store.get('k'))?.metadata).toEqual({ c: 'ß\n' })
    })

    it('says when an object was created, within a minute of now', async () => {
      await using store = await open()
      await store.put('k', chunks('x'), { sizeBytes: 1, metadata: {} })
      const { createdMs } = (await store.head('k')) ?? { createdMs: 0 }
      expect(Math.abs(createdMs - Date.now())).toBeLessThan(60_000)
    })

    it('carries contents of many pieces to the byte, and gives parts of them', async () => {
      await using store = await open()
      // Larger than the part of any engine that stores in parts.
      const piece = Buffer.from(Array.from({ length: 1_000_003 }, (_, index) => index % 251))
      const pieces = 20
      const sizeBytes = pieces * piece.length
      await store.put('big', chunks(...Array<Buffer>(pieces).fill(piece)), {
        sizeBytes,
        metadata: { a: 'b' },
      })
      const object = await store.get('big')
      expect(object).toMatchObject({ sizeBytes, metadata: { a: 'b' } })
      const read = createHash('sha256')
      for await (const chunk of object?.content ?? chunks()) read.update(chunk)
      const put = createHash('sha256')
      for (let index = 0; index < pieces; index += 1) put.update(piece)
      expect(read.digest('hex')).toBe(put.digest('hex'))
      const first = piece.length * 16 - 2
      const part = await store.get('big', { first, last: first + 3 })
      const expected = Buffer.concat([piece.subarray(-2), piece.subarray(0, 2)])
      expect(await bytesOf(part?.content ?? chunks())).toEqual(expected)
    })

    it('leaves nothing behind when the content fails after many pieces', async () => {
      await using store = await open()
      const piece = Buffer.alloc(1_000_000, 7)
      async function* failing(): AsyncGenerator<Uint8Array> {
        for (let sent = 0; sent < 18; sent += 1) yield piece
        throw new Error('the caller went away')
      }
      const put = store.put('v3/far', failing(), { sizeBytes: 20_000_000, metadata: {} })
      await expect(put).rejects.toThrow(/went away/)
      expect(await store.head('v3/far')).toBeUndefined()
      expect(await store.get('v3/far')).toBeUndefined()
    })

    it('can be asked for contents that nobody reads, again and again', async () => {
      await using store = await open()
      await store.put('k', chunks(Buffer.alloc(300_000)), { sizeBytes: 300_000, metadata: {} })
      for (let round = 0; round < 150; round += 1) {
        const object = await store.get('k')
        if (round % 2 === 0) await object?.content[Symbol.asyncIterator]().return?.()
      }
      expect(await store.head('k')).toMatchObject({ sizeBytes: 300_000 })
    })

    it('ends the source of a put that fails, and reads no more than it needs', async () => {
      await using store = await open()
      let isEnded = false
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield Buffer.alloc(1000)
        } finally {
          isEnded = true
        }
      }
      const put = store.put('v3/endless', endless(), { sizeBytes: 5000, metadata: {} })
      await expect(put).rejects.toThrow(RangeError)
      expect(isEnded).toBe(true)
      expect(await store.head('v3/endless')).toBeUndefined()
    })

    it('knows nothing of keys that were never put or were removed', async () => {
      await using store = await open()
      expect(await store.get('v3/none')).toBeUndefined()
      expect(await store.head('v3/none')).toBeUndefined()
      expect(await store.remove('v3/none')).toBe(false)
      expect(await store.replaceMetadata('v3/none', {})).toBe(false)
      await store.put('v3/gone', chunks('x'), { sizeBytes: 1, metadata: {} })
      expect(await store.remove('v3/gone')).toBe(true)
      expect(await store.get('v3/gone')).toBeUndefined()
    })

    it('leaves nothing behind when the content fails or has another length', async () => {
      await using store = await open()
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('half')
        throw new Error('the caller went away')
      }
      const put = (content: AsyncIterable<Uint8Array>) =>
        store.put('v3/half', content, { sizeBytes: 8, metadata: {} })
      await expect(put(failing())).rejects.toThrow(/went away/)
      await expect(put(chunks('short'))).rejects.toThrow(/length|long/)
      await expect(put(chunks('much too long'))).rejects.toThrow(/length|long/)
      expect(await store.head('v3/half')).toBeUndefined()
    })

    it('replaces metadata without touching the content', async () => {
      await using store = await open()
      await store.put('k', chunks('content'), { sizeBytes: 7, metadata: { a: '1', b: '2' } })
      expect(await store.replaceMetadata('k', { c: '3' })).toBe(true)
      const object = await store.get('k')
      if (object === undefined) throw new Error('absent')
      expect(object.metadata).toEqual({ c: '3' })
      expect((await bytesOf(object.content)).toString()).toBe('content')
    })

    it('replaces an object, and leaves the old one when that fails', async () => {
      await using store = await open()
      await store.put('k', chunks('old'), { sizeBytes: 3, metadata: { a: '1' } })
      const tooShort = store.put('k', chunks('x'), { sizeBytes: 3, metadata: {} })
      await expect(tooShort).rejects.toThrow(/length|long/)
      const old = await store.get('k')
      expect((await bytesOf(old?.content ?? chunks())).toString()).toBe('old')
      await store.put('k', chunks('newer'), { sizeBytes: 5, metadata: { b: '2' } })
      const object = await store.get('k')
      expect(object).toMatchObject({ sizeBytes: 5, metadata: { b: '2' } })
      expect((await bytesOf(object?.content ?? chunks())).toString()).toBe('newer')
    })

    it('holds empty contents', async () => {
      await using store = await open()
      await store.put('empty', chunks(), { sizeBytes: 0, metadata: {} })
      const object = await store.get('empty')
      expect(object?.sizeBytes).toBe(0)
      expect(await bytesOf(object?.content ?? chunks('x'))).toHaveLength(0)
    })

    it('gives up to the end when a part would be longer', async () => {
      await using store = await open()
      await store.put('k', chunks('0123456789'), { sizeBytes: 10, metadata: {} })
      const object = await store.get('k', { first: 8, last: 100 })
      expect((await bytesOf(object?.content ?? chunks())).toString()).toBe('89')
    })

    it('carries large contents in pieces, and lets a reader stop early', async () => {
      await using store = await open()
      const piece = Buffer.alloc(256 * 1024, 7)
      await store.put('big', chunks(...Array<Buffer>(12).fill(piece)), {
        sizeBytes: 12 * piece.length,
        metadata: {},
      })
      const object = await store.get('big')
      if (object === undefined) throw new Error('absent')
      let pieces = 0
      for await (const chunk of object.content) {
        expect(chunk.length).toBeLessThan(1024 * 1024)
        pieces += 1
        if (pieces === 2) break
      }
      expect(pieces).toBe(2)
    })

    it('expires what is older below a prefix, and nothing else', async () => {
      await using store = await open()
      for (const key of ['v3/volatile/a', 'v3/volatile/b', 'v3/eternal/a']) {
        await store.put(key, chunks('x'), { sizeBytes: 1, metadata: {} })
      }
      const created = (await store.head('v3/volatile/a'))?.createdMs ?? Number.NaN
      expect(await store.expire('v3/volatile/', created - 60_000)).toBe(0)
      expect(await store.expire('v3/none/', created + 60_000)).toBe(0)
      expect(await store.expire('v3/volatile/', created + 60_000)).toBe(2)
      expect(await store.expire('v3/volatile/', created + 60_000)).toBe(0)
      expect(await store.head('v3/volatile/a')).toBeUndefined()
      expect(await store.head('v3/eternal/a')).toBeDefined()
    })

    it('refuses keys that could lead elsewhere', async () => {
      await using store = await open()
      for (const key of ['../x', '/x', 'a/../../x', 'a//b', '', 'a/\0', '.hidden']) {
        const put = store.put(key, chunks('x'), { sizeBytes: 1, metadata: {} })
        await expect(put).rejects.toThrow(/key/)
      }
    })
  })
}
