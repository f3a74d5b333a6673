import { createHash } from 'node:crypto'

/**
 * What is wrong with an upload.
 *
 * - `malformed`: not two parts with the headers they need, or settings that are not JSON
 * - `incomplete-body`: ended before the content had its length
 * - `invalid-length`: a content of no bytes, or of more than its header says
 * - `wrong-md5`: the content does not have the hash that its header says
 */
export type MultipartProblem = 'malformed' | 'incomplete-body' | 'invalid-length' | 'wrong-md5'

export class MultipartError extends Error {
  readonly problem: MultipartProblem

  constructor(problem: MultipartProblem, sentence: string, options: { cause?: unknown } = {}) {
    super(sentence, options)
    this.name = 'MultipartError'
    this.problem = problem
  }
}

export interface MultipartLimits {
  /** Boundary line and headers of one part. */
  readonly headerBytes: number
  readonly settingsBytes: number
}

export interface AssetUpload {
  /** The first part, parsed but not validated. */
  readonly settings: unknown
  /** Of the second part, as it came: a media type, perhaps with parameters, in printable ASCII. */
  readonly contentType: string
  /** What the header says; `content` has this many bytes or throws. */
  readonly lengthBytes: number
  readonly md5: Buffer | undefined
  /**
   * To be read once. Throws `MultipartError` and whatever the source throws. Length, hash and end are
   * checked before the last bytes are given out, so who has got `lengthBytes` has got them right.
   */
  readonly content: AsyncIterable<Uint8Array>
}

/**
 * Reads the body of `POST /assets`: `multipart/mixed` with settings as JSON, then the content, as
 * upstream's services/cargohold/src/CargoHold/API/V3.hs takes it. The boundary is that of the first
 * line, because Kalium names none in the request's header; lengths count, not boundaries, which the
 * content may contain. Nothing but headers and settings is held in memory.
 *
 * The source is left where reading stopped: the caller knows whether the rest should be read.
 *
 * @throws MultipartError
 */
export async function readAssetUpload(
  source: AsyncIterable<Uint8Array>,
  limits: MultipartLimits = { headerBytes: 4096, settingsBytes: 16_384 },
): Promise<AssetUpload> {
  const body = new BodyReader(source)
  const { boundary, ...first } = await readPartHeader(body, limits)
  if (!/^application\/json\s*(;|$)/i.test(first.contentType)) {
    throw malformed('The first part is not application/json')
  }
  if (first.lengthBytes > limits.settingsBytes) throw malformed('The settings are too long')
  const settings = parseSettings(
    await body.exactly(first.lengthBytes),
    // Wire's clients count characters where bytes are meant, so that file names beyond ASCII make
    // the settings longer than announced. JSON without line breaks ends where its line does.
    await body.line(limits.headerBytes),
  )

  const second = await readPartHeader(body, limits)
  if (second.boundary !== boundary) throw malformed('The parts have different boundaries')
  const { contentType, lengthBytes, md5 } = second
  if (lengthBytes === 0) throw new MultipartError('invalid-length', 'The content is empty')

  async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
    const hash = md5 && createHash('md5')
    for (let left = lengthBytes; left > 0;) {
      const chunk = await body.upTo(left)
      hash?.update(chunk)
      left -= chunk.length
      if (left === 0) {
        if (md5 && hash && !hash.digest().equals(md5)) {
          throw new MultipartError('wrong-md5', 'The content does not have the MD5 it should have')
        }
        await readEnd(body, boundary, limits)
      }
      yield chunk
    }
  }
  return { settings, contentType, lengthBytes, md5, content: content() }
}

interface PartHeader {
  readonly boundary: string
  readonly contentType: string
  readonly lengthBytes: number
  readonly md5: Buffer | undefined
}

const knownHeaders = new Set(['content-type', 'content-length', 'content-md5'])
const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;[\x20-\x7e]*)?$/

async function readPartHeader(body: BodyReader, limits: MultipartLimits): Promise<PartHeader> {
  let leftBytes = limits.headerBytes
  const readLine = async () => {
    const line = await body.line(leftBytes)
    leftBytes -= line.length + 1
    return line.toString('latin1').trimEnd()
  }

  const boundary = (await readLine()) || (await readLine())
  if (!boundary.startsWith('--')) throw malformed('A part does not begin with its boundary')
  const headers = new Map<string, string>()
  for (let line = await readLine(); line !== ''; line = await readLine()) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
    // One that we do not know might change what the others mean.
    if (!knownHeaders.has(name)) throw malformed('A part has a header it may not have')
    if (headers.has(name)) throw malformed('A part has a header twice')
    headers.set(name, line.slice(colon + 1).trim())
  }

  const contentType = headers.get('content-type') ?? ''
  if (!mediaType.test(contentType)) throw malformed('A part has no valid Content-Type')
  const length = headers.get('content-length') ?? ''
  if (!/^[0-9]{1,15}$/.test(length)) throw malformed('A part has no valid Content-Length')
  const md5Text = headers.get('content-md5')
  const md5 = md5Text === undefined ? undefined : Buffer.from(md5Text, 'base64')
  if (md5 && md5.length !== 16) throw malformed('A part has a Content-MD5 that is not valid')
  return { boundary, contentType, lengthBytes: Number(length), md5 }
}

function parseSettings(...parts: readonly Buffer[]): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)))
  } catch (cause) {
    throw malformed('The settings are not valid JSON', cause)
  }
}

/**
 * After the content comes a line break and the boundary. Upstream does not look, so a body that ends
 * before that will do, but not one with more content. The little that may follow is read, so that
 * the connection can be used again.
 */
async function readEnd(body: BodyReader, boundary: string, limits: MultipartLimits): Promise<void> {
  const end = (await body.rest(limits.headerBytes)).toString('latin1')
  const expected = `${end.startsWith('\r') ? '\r\n' : '\n'}${boundary}`
  if (!end.startsWith(expected) && !expected.startsWith(end)) {
    throw new MultipartError('invalid-length', 'The content is longer than its Content-Length')
  }
}

const malformed = (sentence: string, cause?: unknown) =>
  new MultipartError('malformed', sentence, { cause })

/** Takes bytes off an iterable in the portions that the parser asks for. */
class BodyReader {
  readonly #source: AsyncIterator<Uint8Array>
  /** Read from the source and not yet taken. */
  #chunk: Uint8Array = new Uint8Array()

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At least one byte, at most `maxBytes`, as they come. */
  async upTo(maxBytes: number): Promise<Uint8Array> {
    if (!(await this.#hasMore())) {
      throw new MultipartError('incomplete-body', 'The body ends before the content does')
    }
    return this.#take(Math.min(maxBytes, this.#chunk.length))
  }

  async exactly(lengthBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    for (let left = lengthBytes; left > 0;) {
      const part = await this.upTo(left)
      parts.push(part)
      left -= part.length
    }
    return Buffer.concat(parts)
  }

  /** What comes before the next LF, which is taken too; a CR before it stays. */
  async line(maxBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    for (let left = maxBytes; left >= 0;) {
      if (!(await this.#hasMore())) {
        throw new MultipartError('incomplete-body', 'The body ends within the header of a part')
      }
      const end = this.#chunk.indexOf(0x0a)
      const part = this.#take(end === -1 ? this.#chunk.length : end)
      left -= part.length
      parts.push(part)
      if (end !== -1 && left >= 0) {
        this.#take(1)
        return Buffer.concat(parts)
      }
    }
    throw malformed('The header of a part is too long')
  }

  /** Everything up to the end. */
  async rest(maxBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    for (let left = maxBytes; await this.#hasMore();) {
      const part = this.#take(this.#chunk.length)
      left -= part.length
      if (left < 0) throw new MultipartError('invalid-length', 'The body goes on after its content')
      parts.push(part)
    }
    return Buffer.concat(parts)
  }

  #take(count: number): Uint8Array {
    const taken = this.#chunk.subarray(0, count)
    this.#chunk = this.#chunk.subarray(count)
    return taken
  }

  async #hasMore(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next()
      if (next.done) return false
      this.#chunk = next.value
    }
    return true
  }
}
