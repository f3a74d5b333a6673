import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { Unavailable } from '../../contract/error.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Dependencies, Dependency } from '../../platform/dependencies.ts'
import { requireObjectKey, type ObjectStore, type StoredObject } from '../../ports/objects.ts'
import { connectS3, s3Outage, statusOf, type S3Connection } from './client.ts'
import { decodeMetadata, encodeMetadata } from './metadata.ts'
import { watchStall } from './stall.ts'
import { abandonUpload, upload } from './upload.ts'

/** S3 may take and give nothing for so long, however long clients take. */
const stallMs = 10_000
const removalsAtOnce = 8
const abandonTries = 3
/**
 * A node of MinIO that has just come back says for a second or two, in the tone of certainty, that it
 * has no such object, though the other nodes have it: absence is believed at the third look.
 */
const lookAgainMs = [150, 600] as const

/**
 * Objects in a bucket of any S3. An object appears when its last byte is stored: what fails before
 * leaves nothing, and parts of an upload that nobody could take back are removed by the rule of the
 * bucket. The time of an object is counted from the last change of its metadata.
 */
export async function openS3(
  options: S3Connection,
  deps: {
    readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
    readonly dependencies: Dependencies
    readonly log: Logger
    readonly stallMs?: number
    /** Keys that a listing asks for at once; S3 gives 1000 at most. */
    readonly pageSize?: number
  },
): Promise<ObjectStore> {
  const { bucket } = options
  const { clock, log } = deps
  const s3 = await connectS3(options)
  const closing = new AbortController()
  const abandoning = new Set<Promise<void>>()
  const limitMs = deps.stallMs ?? stallMs
  const dependency = deps.dependencies.add({
    name: 's3 (objects)',
    need: 'always',
    outageOf: s3Outage,
    limits: { timeoutMs: 5000 },
    async probe(abortSignal) {
      await s3.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal }).catch(noBucket)
    },
  })
  /** Keys are checked before anything is asked. */
  const target = (key: string): { Bucket: string; Key: string } => ({
    Bucket: bucket,
    Key: requireObjectKey(key),
  })

  function noBucket(error: unknown): never {
    if (statusOf(error) !== 404) throw error
    throw new Error(`there is no bucket "${bucket}"; the job create-buckets makes it`)
  }

  async function describe(key: string): Promise<HeadObjectCommandOutput | undefined> {
    const found = target(key)
    return untilFound(clock, () =>
      dependency.attempt({ what: 'look up an object', retries: 1 }, (abortSignal) =>
        s3.send(new HeadObjectCommand(found), { abortSignal }).catch(absent),
      ),
    )
  }

  async function removeKey(key: string): Promise<void> {
    const found = target(key)
    await dependency.attempt(
      { what: 'remove an object', isWrite: true, retries: 1 },
      (abortSignal) => s3.send(new DeleteObjectCommand(found), { abortSignal }),
    )
  }

  /** Parts that stay are removed by the rule of the bucket after a day. */
  function abandon(key: string, uploadId: string): void {
    const work = dependency
      .attempt({ what: 'take an upload back', retries: abandonTries }, (signal) =>
        abandonUpload(s3, { bucket, key, uploadId }, signal),
      )
      .then(
        () => undefined,
        (err: unknown) => log.warn({ err }, 'parts of an upload stay in the bucket'),
      )
      .finally(() => abandoning.delete(work))
    abandoning.add(work)
  }

  return {
    async put(key, content, { sizeBytes, metadata }) {
      const { Key } = target(key)
      const outcome = await dependency.attempt(
        { what: 'store an object', isWrite: true, isLong: true },
        () =>
          upload(
            s3,
            { bucket, key: Key, content, sizeBytes, metadata: encodeMetadata(metadata) },
            { clock, stallMs: limitMs, abandon: (uploadId) => abandon(Key, uploadId) },
          ),
      )
      if ('contentError' in outcome) throw outcome.contentError
    },
    async head(key) {
      return stored(await describe(key))
    },
    async get(key, range) {
      const head = await describe(key)
      const object = stored(head)
      if (head === undefined || object === undefined) return undefined
      const bounds = boundsOf(object.sizeBytes, range)
      return {
        ...object,
        content:
          bounds === undefined
            ? nothing()
            : readObject(
                { s3, dependency, clock, limitMs, closing: closing.signal },
                {
                  ...target(key),
                  Range: `bytes=${String(bounds.first)}-${String(bounds.last)}`,
                  ...(head.ETag === undefined ? {} : { IfMatch: head.ETag }),
                },
              ),
      }
    },
    async replaceMetadata(key, metadata) {
      const found = target(key)
      const result = await untilFound(clock, () =>
        dependency.attempt({ what: 'change an object', isWrite: true, retries: 1 }, (abortSignal) =>
          s3
            .send(
              new CopyObjectCommand({
                ...found,
                CopySource: `${bucket}/${found.Key}`,
                MetadataDirective: 'REPLACE',
                Metadata: encodeMetadata(metadata),
              }),
              { abortSignal },
            )
            .catch(absent),
        ),
      )
      return result !== undefined
    },
    async remove(key) {
      if ((await describe(key)) === undefined) return false
      await removeKey(key)
      return true
    },
    async expire(prefix, olderThanMs) {
      requireObjectKey(prefix.replace(/\/$/, ''))
      let removed = 0
      for (let token: string | undefined; ;) {
        const page = await dependency.attempt({ what: 'list objects', retries: 2 }, (abortSignal) =>
          s3.send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: prefix,
              MaxKeys: deps.pageSize ?? 1000,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
            { abortSignal },
          ),
        )
        const keys = (page.Contents ?? [])
          .filter(({ LastModified }) => (LastModified?.getTime() ?? Infinity) < olderThanMs)
          .flatMap(({ Key }) => (Key === undefined ? [] : [Key]))
        for (let first = 0; first < keys.length; first += removalsAtOnce) {
          const some = keys.slice(first, first + removalsAtOnce)
          await Promise.all(some.map(removeKey))
          removed += some.length
        }
        token = page.NextContinuationToken
        if (page.IsTruncated !== true || token === undefined) return removed
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Unavailable('read an object'))
      await Promise.all(abandoning)
      s3.destroy()
    },
  }
}

function stored(head: HeadObjectCommandOutput | undefined): StoredObject | undefined {
  if (head === undefined) return undefined
  return {
    sizeBytes: head.ContentLength ?? 0,
    metadata: decodeMetadata(head.Metadata),
    createdMs: head.LastModified?.getTime() ?? 0,
  }
}

/** What there is of the range; undefined for nothing. */
function boundsOf(
  sizeBytes: number,
  range: { first: number; last: number } | undefined,
): { first: number; last: number } | undefined {
  const { first, last } = range ?? { first: 0, last: sizeBytes - 1 }
  if (first >= sizeBytes || last < first) return undefined
  return { first, last: Math.min(last, sizeBytes - 1) }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // There is nothing in it.
}

/** Asks for the content when somebody reads it, and ends with the reader. */
async function* readObject(
  deps: {
    readonly s3: S3Client
    readonly dependency: Dependency
    readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
    readonly limitMs: number
    readonly closing: AbortSignal
  },
  request: { Bucket: string; Key: string; Range: string; IfMatch?: string },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { s3, dependency, clock, limitMs } = deps
  using watch = watchStall(clock, limitMs)
  const ended = new AbortController()
  const until = AbortSignal.any([watch.signal, ended.signal, deps.closing])
  let body: Readable | undefined
  try {
    const found = await untilFound(clock, () =>
      dependency.attempt({ what: 'read an object', retries: 1 }, async (signal) => {
        // Its time limit is that of the head; the content may take longer.
        const head = new AbortController()
        const abort = (): void => head.abort(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
        try {
          const abortSignal = AbortSignal.any([head.signal, until])
          return await s3.send(new GetObjectCommand(request), { abortSignal }).catch(absent)
        } finally {
          signal.removeEventListener('abort', abort)
        }
      }),
    )
    // It was removed since it was looked up.
    if (found === undefined) throw new Unavailable('read an object')
    // Under Node the body is a stream of Node.
    body = found.Body as Readable
    until.addEventListener('abort', () => body?.destroy(until.reason), { once: true })
    watch.storeTurn()
    for await (const chunk of body) {
      watch.othersTurn()
      yield chunk
      watch.storeTurn()
    }
  } catch (error) {
    if (s3Outage(error) !== undefined) throw new Unavailable('read an object', { cause: error })
    // It was replaced since it was looked up.
    if (statusOf(error) === 412) throw new Unavailable('read an object', { cause: error })
    throw error
  } finally {
    ended.abort()
    body?.destroy()
  }
}

async function untilFound<Found>(
  clock: Pick<Clock, 'sleep'>,
  look: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  for (const pauseMs of lookAgainMs) {
    const found = await look()
    if (found !== undefined) return found
    await clock.sleep(pauseMs)
  }
  return look()
}

function absent(error: unknown): undefined {
  if (statusOf(error) === 404 && (!(error instanceof Error) || error.name !== 'NoSuchBucket')) {
    return undefined
  }
  throw error
}
