import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Clock } from '../../platform/clock.ts'
import { watchStall, type StallWatch } from './stall.ts'

/** Larger objects are sent in parts of this size; S3 wants 5 MiB at least, and 10 000 parts at most. */
export const partBytes = 16 * 1024 * 1024

/** Content on its way: counted, cut into parts of known lengths, and ended with its source. */
interface Source extends AsyncDisposable {
  /** The next `sizeBytes` as they come. Rejects when the content is shorter. */
  part(sizeBytes: number, isLast: boolean, watch: StallWatch): AsyncGenerator<Uint8Array>
  /** Rejects when there is anything in it. */
  requireEmpty(): Promise<void>
  /** What went wrong on this side, and is not the store's fault. */
  readonly failure: { readonly error: unknown } | undefined
}

function openSource(content: AsyncIterable<Uint8Array>, sizeBytes: number): Source {
  const iterator = content[Symbol.asyncIterator]()
  let left: Uint8Array | undefined
  let isOver = false
  let failure: { error: unknown } | undefined

  async function next(): Promise<Uint8Array | undefined> {
    if (left !== undefined && left.length > 0) {
      const chunk = left
      left = undefined
      return chunk
    }
    const result = await iterator.next()
    if (result.done === true) {
      isOver = true
      return undefined
    }
    return result.value
  }

  async function* read(wanted: number, isLast: boolean, watch: StallWatch) {
    for (let missing = wanted; missing > 0;) {
      watch.othersTurn()
      const chunk = await next()
      watch.storeTurn()
      if (chunk === undefined) throw wrongLength(sizeBytes)
      left = chunk.subarray(missing)
      missing -= Math.min(missing, chunk.length)
      const taken = chunk.subarray(0, chunk.length - left.length)
      if (missing === 0 && isLast) {
        // Before the store has it whole: what is too long must not become an object.
        watch.othersTurn()
        await drain()
        watch.storeTurn()
      }
      if (taken.length > 0) yield taken
    }
  }

  async function drain(): Promise<void> {
    for (let more = await next(); more !== undefined; more = await next()) {
      if (more.length > 0) throw wrongLength(sizeBytes)
    }
  }

  function fail(error: unknown): never {
    failure = { error }
    throw error
  }

  return {
    async *part(wanted, isLast, watch) {
      try {
        yield* read(wanted, isLast, watch)
      } catch (error) {
        fail(error)
      }
    },
    requireEmpty: () => drain().catch(fail),
    get failure() {
      return failure
    },
    async [Symbol.asyncDispose]() {
      if (!isOver) await iterator.return?.()
    },
  }
}

const wrongLength = (sizeBytes: number): RangeError =>
  new RangeError(`the content is not ${String(sizeBytes)} bytes long`)

export interface Upload {
  readonly bucket: string
  readonly key: string
  readonly content: AsyncIterable<Uint8Array>
  readonly sizeBytes: number
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Streams an object, in parts when it is large; little more than the chunks on their way is in
 * memory. Resolves to the content's own error when that is why there is no object; rejects when it
 * is the store's fault, with `Stalled` when it takes nothing for `stallMs`.
 *
 * @param abandon Removes what a multipart upload has left; need not succeed
 */
export async function upload(
  s3: S3Client,
  { bucket, key, content, sizeBytes, metadata }: Upload,
  deps: {
    readonly clock: Pick<Clock, 'monotonicMs'>
    readonly stallMs: number
    readonly abandon: (uploadId: string) => void
  },
): Promise<{ readonly contentError?: unknown }> {
  await using source = openSource(content, sizeBytes)
  using watch = watchStall(deps.clock, deps.stallMs)
  const target = { Bucket: bucket, Key: key }

  /** A request whose body is the next part; ended when the source fails. */
  async function sendPart<T>(
    bytes: number,
    isLast: boolean,
    send: (body: Readable, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const failed = new AbortController()
    const body = Readable.from(source.part(bytes, isLast, watch), { objectMode: false })
    body.on('error', () => failed.abort())
    try {
      watch.storeTurn()
      return await send(body, AbortSignal.any([failed.signal, watch.signal]))
    } finally {
      body.destroy()
    }
  }

  async function inOnePiece(): Promise<void> {
    if (sizeBytes === 0) {
      await source.requireEmpty()
      await s3.send(
        new PutObjectCommand({ ...target, Body: Buffer.alloc(0), Metadata: { ...metadata } }),
        { abortSignal: watch.signal },
      )
      return
    }
    await sendPart(sizeBytes, true, (Body, abortSignal) =>
      s3.send(
        new PutObjectCommand({
          ...target,
          Body,
          ContentLength: sizeBytes,
          Metadata: { ...metadata },
        }),
        { abortSignal },
      ),
    )
  }

  async function inParts(): Promise<void> {
    watch.storeTurn()
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ ...target, Metadata: { ...metadata } }),
      { abortSignal: watch.signal },
    )
    if (UploadId === undefined) throw new Error('the store began no upload')
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = []
      for (let sent = 0; sent < sizeBytes; sent += partBytes) {
        const bytes = Math.min(partBytes, sizeBytes - sent)
        const PartNumber = Parts.length + 1
        const { ETag } = await sendPart(bytes, sent + bytes === sizeBytes, (Body, abortSignal) =>
          s3.send(
            new UploadPartCommand({
              ...target,
              UploadId,
              PartNumber,
              Body,
              ContentLength: bytes,
            }),
            { abortSignal },
          ),
        )
        Parts.push({ ETag, PartNumber })
      }
      watch.storeTurn()
      await s3.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
        { abortSignal: watch.signal },
      )
    } catch (error) {
      deps.abandon(UploadId)
      throw error
    }
  }

  try {
    await (sizeBytes > partBytes ? inParts() : inOnePiece())
    return {}
  } catch (error) {
    if (source.failure !== undefined) return { contentError: source.failure.error }
    if (watch.signal.aborted) throw watch.signal.reason
    throw error
  }
}

export function abandonUpload(
  s3: S3Client,
  target: { bucket: string; key: string; uploadId: string },
  abortSignal: AbortSignal,
): Promise<unknown> {
  return s3.send(
    new AbortMultipartUploadCommand({
      Bucket: target.bucket,
      Key: target.key,
      UploadId: target.uploadId,
    }),
    { abortSignal },
  )
}
