import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { assert, constantFrom, dictionary, oneof, property, string } from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startLossyProxy } from '../../../../test/support/lossy-proxy.ts'
import { Unavailable } from '../../contract/error.ts'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies, type Dependencies } from '../../platform/dependencies.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { objectsContract } from '../../ports/objects.contract.ts'
import type { ObjectStore } from '../../ports/objects.ts'
import { connectS3, type S3Connection } from './client.ts'
import { decodeMetadata, encodeMetadata } from './metadata.ts'
import { openS3 } from './objects.ts'

const endpoint = (process.env['TEST_S3'] ?? process.env['TEST_MINIO'])?.split(',')[0]
const accessKey = process.env['TEST_S3_ACCESS_KEY'] ?? 'tricord'
const secretKey = process.env['TEST_S3_SECRET_KEY'] ?? 'tricord-on-loopback'
const bucket = `test-${randomUUID()}`

const anyText = string({
  unit: oneof(string({ minLength: 1, maxLength: 1 }), constantFrom('ö', '👩', '\u2028', '%', '\n')),
})
const chunk = Buffer.alloc(64 * 1024, 7)
async function* slowly(count: number, betweenChunks: () => Promise<unknown>) {
  for (let sent = 0; sent < count; sent += 1) {
    yield chunk
    await betweenChunks()
  }
}
const soon = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))

describe.skipIf(endpoint === undefined)('S3, named by TEST_S3 or TEST_MINIO', () => {
  let folder: string
  let admin: S3Client

  const connection = (address = endpoint ?? ''): S3Connection => ({
    endpoint: address.includes('://') ? address : `http://${address}`,
    region: 'us-east-1',
    bucket,
    isPathStyle: true,
    accessKeyFile: join(folder, 'access-key'),
    secretKeyFile: join(folder, 'secret-key'),
  })

  async function open(
    options: S3Connection = connection(),
    given: { stallMs?: number; pageSize?: number } = {},
  ): Promise<ObjectStore & { dependencies: Dependencies }> {
    const log = pino({ level: 'silent' })
    const clock = systemClock()
    const dependencies = createDependencies({ clock, log, metrics: createMetrics('test') })
    const store = await openS3(options, {
      clock,
      dependencies,
      log,
      ...given,
    })
    return {
      ...store,
      dependencies,
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]()
        await dependencies[Symbol.asyncDispose]()
      },
    }
  }

  const pendingUploads = async (): Promise<number> => {
    const { Uploads = [] } = await admin.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: 'v3/' }),
    )
    return Uploads.length
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tricord-s3-'))
    await writeFile(join(folder, 'access-key'), `${accessKey}\n`)
    await writeFile(join(folder, 'secret-key'), `${secretKey}\n`)
    admin = await connectS3(connection())
    await admin.send(new CreateBucketCommand({ Bucket: bucket }))
  })
  afterAll(async () => {
    const { Contents = [] } = await admin.send(new ListObjectsV2Command({ Bucket: bucket }))
    for (const { Key } of Contents) {
      await admin.send(new DeleteObjectCommand({ Bucket: bucket, Key }))
    }
    await admin.send(new DeleteBucketCommand({ Bucket: bucket }))
    admin.destroy()
    await rm(folder, { recursive: true })
  })

  objectsContract(open)

  it('removes the parts of a large upload that failed', async () => {
    {
      await using store = await open()
      const put = store.put(
        'v3/large',
        (async function* () {
          yield* slowly(300, async () => undefined)
          throw new Error('the caller went away')
        })(),
        { sizeBytes: 400 * chunk.length, metadata: {} },
      )
      await expect(put).rejects.toThrow(/went away/)
    }
    expect(await pendingUploads()).toBe(0)
  })

  it('lists more than a page when it expires', async () => {
    await using store = await open(connection(), { pageSize: 10 })
    const keys = Array.from({ length: 25 }, (_, index) => `v3/many/${String(index)}`)
    await Promise.all(
      keys.map((Key) => admin.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }))),
    )
    expect(await store.expire('v3/many/', Date.now() + 60_000)).toBe(keys.length)
    expect(await store.expire('v3/many/', Date.now() + 60_000)).toBe(0)
  })

  it('lets a client take longer than S3 may, both ways', async () => {
    await using store = await open(connection(), { stallMs: 1000 })
    const slow = slowly(3, () => soon(1500))
    await store.put('v3/slow', slow, { sizeBytes: 3 * chunk.length, metadata: {} })
    const object = await store.get('v3/slow')
    let bytes = 0
    for await (const piece of object?.content ?? []) {
      bytes += piece.length
      if (bytes < 2 * chunk.length) await soon(1500)
    }
    expect(bytes).toBe(3 * chunk.length)
  }, 120_000)

  it.each(['cut', 'freeze'] as const)(
    'fails in time while S3 is away (%s), and serves again by itself',
    async (failure) => {
      await using proxy = await startLossyProxy(`http://${endpoint ?? ''}`)
      await using store = await open(connection(proxy.address), { stallMs: 1500 })
      const key = `v3/interrupted-${failure}`
      const options = { sizeBytes: 400 * chunk.length, metadata: {} }
      let sent = 0
      const put = store.put(
        key,
        slowly(400, async () => {
          sent += 1
          if (sent === 20) proxy[failure]()
        }),
        options,
      )
      await expect(put).rejects.toThrow(Unavailable)
      await expect(store.head(key)).rejects.toThrow(Unavailable)
      await vi.waitUntil(() => store.dependencies.missing().length === 1, { timeout: 30_000 })
      expect(store.dependencies.missing()[0]).toMatch(/^s3 \(objects\): /)
      // Now nobody waits for it.
      for (let call = 0; call < 20; call += 1) {
        await expect(store.get(key)).rejects.toThrow(Unavailable)
      }
      proxy.mend()
      await vi.waitUntil(() => store.dependencies.missing().length === 0, { timeout: 15_000 })
      expect(await store.head(key)).toBeUndefined()
      await store.put(
        key,
        slowly(400, async () => undefined),
        options,
      )
      expect(await store.head(key)).toMatchObject({ sizeBytes: options.sizeBytes })
    },
    90_000,
  )

  it('ends a download that S3 stalls, and says that it is unavailable', async () => {
    await using proxy = await startLossyProxy(`http://${endpoint ?? ''}`)
    await using store = await open(connection(proxy.address), { stallMs: 1000 })
    await store.put(
      'v3/download',
      slowly(400, async () => undefined),
      {
        sizeBytes: 400 * chunk.length,
        metadata: {},
      },
    )
    const object = await store.get('v3/download')
    const read = async (): Promise<void> => {
      let pieces = 0
      for await (const _piece of object?.content ?? []) {
        pieces += 1
        if (pieces === 3) proxy.freeze()
      }
    }
    await expect(read()).rejects.toThrow(Unavailable)
  }, 120_000)

  it('says which bucket is missing, or that its keys are wrong', async () => {
    await using store = await open({ ...connection(), bucket: 'nobody-made-this' })
    await vi.waitUntil(() => /no bucket/.test(store.dependencies.missing()[0] ?? ''))
    await using stranger = await open({
      ...connection(),
      secretKeyFile: join(folder, 'access-key'),
    })
    const reason = (): string => stranger.dependencies.missing()[0] ?? ''
    await vi.waitUntil(() => reason() !== '' && !/not answered yet/.test(reason()))
    await expect(stranger.head('v3/a')).rejects.toThrow(Unavailable)
  })
})

it('writes metadata as headers can carry them, and reads back any', () => {
  assert(
    property(dictionary(string(), anyText), (metadata) => {
      const encoded = encodeMetadata(metadata)
      for (const value of Object.values(encoded)) expect(value).toMatch(/^[!-~]*$/)
      const lowered = Object.fromEntries(
        Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value]),
      )
      expect(decodeMetadata(encoded)).toEqual(lowered)
    }),
  )
  assert(
    property(anyText, (value) => {
      expect(typeof decodeMetadata({ a: value })['a']).toBe('string')
    }),
  )
})
