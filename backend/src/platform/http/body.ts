import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import type { Readable } from 'node:stream'
import { ApiError, Unavailable, kitErrors } from '../../contract/error.ts'

/** How long a body may pause, and how long it may take in all. */
export interface BodyTimeouts {
  readonly idleMs: number
  readonly totalMs: number
}

/** The memory that bodies of all requests may take together, until their handlers are done. */
export interface BodyMemory {
  /** Holds nothing yet. */
  open(): HeldMemory
}
export interface HeldMemory {
  /** @throws Unavailable when others hold too much. */
  take(bytes: number): void
  release(): void
}

export function createBodyMemory(limitBytes: number): BodyMemory {
  let heldBytes = 0
  return {
    open() {
      let ownBytes = 0
      return {
        take(bytes) {
          if (heldBytes + bytes > limitBytes) {
            throw new Unavailable('hold another body', { retryAfterSeconds: 1 })
          }
          heldBytes += bytes
          ownBytes += bytes
        },
        release() {
          heldBytes -= ownBytes
          ownBytes = 0
        },
      }
    },
  }
}

/** The media type without parameters, lower case; empty when the header is absent. */
export function mediaType(request: IncomingMessage): string {
  const header = request.headers['content-type']
  if (header === undefined) return ''
  const end = header.indexOf(';')
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase()
}

/** The body with its `Content-Encoding` taken off. Wire's clients gzip their JSON. */
function decodedStream(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity' || encoding === '') return request
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new ApiError(kitErrors.unsupportedMediaType, {
      message: `The body's encoding must be gzip or identity`,
    })
  }
  const gunzip = createGunzip()
  request.on('error', (cause) => gunzip.destroy(cause))
  request.on('close', () => {
    if (!request.complete) gunzip.destroy(new Error('the caller went away'))
  })
  request.pipe(gunzip)
  return gunzip
}

/**
 * Reads a whole body of at most `limitBytes`, before and after decompression. Throws 413, 408, 415,
 * 503 while other
 * bodies take too much memory, and 400 for a body that is not valid gzip or ends early.
 */
export function readBody(
  request: IncomingMessage,
  limitBytes: number,
  timeouts: BodyTimeouts,
  memory: HeldMemory,
): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0)
  const isEncoded = request.headers['content-encoding'] !== undefined
  if (declared > limitBytes) return Promise.reject(new ApiError(kitErrors.tooLarge))
  return new Promise((resolve, reject) => {
    const stream = decodedStream(request)
    const chunks: Buffer[] = []
    let sizeBytes = 0
    let encodedBytes = 0
    const startedMs = performance.now()
    const pause = setTimeout(() => finish(new ApiError(kitErrors.timeout)), timeouts.idleMs)

    // The listener for errors stays: a late one of the abandoned stream has nobody else to go to.
    const finish = (outcome: Error | Buffer): void => {
      clearTimeout(pause)
      request.off('data', countEncoded)
      stream.off('data', take)
      stream.off('end', end)
      if (outcome instanceof Error) {
        if (stream !== request) {
          request.unpipe()
          stream.destroy()
        }
        reject(outcome)
      } else {
        resolve(outcome)
      }
    }
    const take = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      if (sizeBytes > limitBytes) {
        finish(new ApiError(kitErrors.tooLarge))
        return
      }
      try {
        memory.take(chunk.length)
      } catch (error) {
        finish(error as Error)
        return
      }
      chunks.push(chunk)
      // What takes too long in all either pauses or is found here.
      if (performance.now() - startedMs > timeouts.totalMs) finish(new ApiError(kitErrors.timeout))
      else pause.refresh()
    }
    // Gzip can go on for ever and unpack to nothing.
    const countEncoded = (chunk: Buffer): void => {
      encodedBytes += chunk.length
      if (encodedBytes > limitBytes) finish(new ApiError(kitErrors.tooLarge))
    }
    const end = (): void =>
      finish(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks))
    if (stream !== request) request.on('data', countEncoded)
    stream.on('data', take)
    stream.on('end', end)
    stream.on('error', (cause) => {
      finish(
        new ApiError(kitErrors.badRequest, {
          message: isEncoded ? 'The body is not valid gzip' : 'The body ended early',
          cause,
        }),
      )
    })
    request.on('close', () => {
      if (!request.complete) {
        finish(new ApiError(kitErrors.badRequest, { message: 'The body ended early' }))
      }
    })
  })
}

/** JSON nested deeper than this is refused before it is parsed. */
const maxDepth = 64

/**
 * The text of JSON whose syntax and depth are fine, and its value. `JSON.parse` itself copes with
 * anything, but what walks the value afterwards recurses, and says of each part what is wrong with
 * it, so depth and number of values are bounded here. Throws 400.
 */
export function readJson(
  bytes: Buffer,
  { maxValues = Number.POSITIVE_INFINITY }: { readonly maxValues?: number } = {},
): { text: string; value: unknown } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch (cause) {
    throw new ApiError(kitErrors.badRequest, { message: 'The body is not valid UTF-8', cause })
  }
  checkShape(text, maxValues)
  try {
    return { text, value: JSON.parse(text) }
  } catch (cause) {
    throw new ApiError(kitErrors.badRequest, { message: 'The body is not valid JSON', cause })
  }
}

function checkShape(text: string, maxValues: number): void {
  let depth = 0
  let values = 1
  let isInString = false
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (isInString) {
      if (code === 0x5c) i += 1
      else if (code === 0x22) isInString = false
    } else if (code === 0x22) {
      isInString = true
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1
      values += 1
      if (depth > maxDepth) refuseShape(`nests deeper than ${String(maxDepth)} levels`)
    } else if (code === 0x5d || code === 0x7d) {
      depth -= 1
    } else if (code === 0x2c) {
      values += 1
      if (values > maxValues) refuseShape(`has more than ${String(maxValues)} values`)
    }
  }
}

function refuseShape(fault: string): never {
  throw new ApiError(kitErrors.badRequest, { message: `The body ${fault}` })
}

/**
 * The body as it comes, for streams. Throws 408 when the caller pauses too long; while the consumer
 * works the caller is not late. Whoever does not read to the end calls `return`, and the rest of the
 * request is left as it is.
 */
export async function* streamOf(
  request: IncomingMessage,
  { idleMs }: Pick<BodyTimeouts, 'idleMs'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = decodedStream(request)
  let wake = (): void => undefined
  let failure: ApiError | undefined
  const look = (): void => wake()
  const fail = (cause?: unknown): void => {
    failure ??= new ApiError(kitErrors.badRequest, { message: 'The body ended early', cause })
    wake()
  }
  const late = (): void => {
    failure ??= new ApiError(kitErrors.timeout)
    wake()
  }
  stream.on('readable', look)
  stream.on('end', look)
  stream.on('error', fail)
  stream.on('close', fail)
  try {
    for (;;) {
      const chunk = stream.read() as Buffer | null
      if (chunk !== null) {
        yield chunk
        continue
      }
      if (stream.readableEnded) return
      if (failure !== undefined) throw failure
      const timer = setTimeout(late, idleMs)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      clearTimeout(timer)
    }
  } finally {
    stream.off('readable', look)
    stream.off('end', look)
    stream.off('close', fail)
    // A late error of an abandoned stream has nobody to go to, so that listener stays.
    if (stream !== request) {
      request.unpipe()
      stream.destroy()
    }
  }
}
