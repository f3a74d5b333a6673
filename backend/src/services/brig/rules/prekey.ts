import { createHash } from 'node:crypto'
import type { ClientId } from '../../../contract/ids.ts'

/** A key as a device uploads it: base64 of a Proteus prekey bundle, and the number it has in there. */
export interface Prekey {
  readonly id: number
  readonly key: string
}

export function checkPrekey(prekey: Prekey): 'ok' | 'malformed' | 'wrong-id' {
  const id = readPrekeyId(prekey.key)
  if (id === undefined) return 'malformed'
  return id === prekey.id ? 'ok' : 'wrong-id'
}

/**
 * A device is named after its last-resort key: the first 64 bits of SHA-256 over the base64 text,
 * not over what it stands for.
 */
export function clientIdFromLastKey(keyBase64: string): ClientId {
  const hash = createHash('sha256').update(keyBase64).digest()
  return hash.readBigUInt64BE().toString(16) as ClientId
}

/** A bundle with its signature has some 180 bytes. */
const maxLength = 400

/**
 * The id in a bundle, or undefined when the text is no bundle. In CBOR (RFC 8949) that is a map:
 *
 *     0: version    1: id    2: {0: key}    3: {0: {0: identity key}}    4: null or {0: signature}
 *
 * (upstream: wireapp/proteus, src/internal/keys.rs). Field 4 may be absent; any order will do.
 */
function readPrekeyId(base64: string): number | undefined {
  if (base64.length > maxLength) return undefined
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.toString('base64') !== base64) return undefined

  const cbor = new CborReader(bytes)
  const missing = new Set([0, 1, 2, 3])
  const seen = new Set<number>()
  let id: number | undefined
  for (let left = cbor.mapSize(); left > 0 && !cbor.failed; left -= 1) {
    const field = cbor.uint()
    if (seen.has(field)) return undefined
    seen.add(field)
    missing.delete(field)
    if (field === 0) cbor.uint()
    else if (field === 1) id = cbor.uint()
    else if (field === 2) cbor.keyInMaps(1, 32)
    else if (field === 3) cbor.keyInMaps(2, 32)
    else if (field !== 4) return undefined
    else if (!cbor.takeNull()) cbor.keyInMaps(1, 64)
  }
  return cbor.failed || !cbor.atEnd || missing.size > 0 ? undefined : id
}

/** The few kinds of CBOR that a bundle is made of. After a failure, whatever it reads is zero. */
class CborReader {
  readonly #bytes: Buffer
  #at = 0
  failed = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  uint(): number {
    return this.#head(0)
  }

  mapSize(): number {
    return this.#head(5)
  }

  takeNull(): boolean {
    const isNull = this.#bytes[this.#at] === 0xf6
    if (isNull) this.#at += 1
    return isNull
  }

  /** So many bytes inside so many maps of one entry, `{0: ...}`. */
  keyInMaps(depth: number, lengthBytes: number): void {
    for (let level = 0; level < depth; level += 1) {
      if (this.mapSize() !== 1 || this.uint() !== 0) this.failed = true
    }
    if (this.#head(2) !== lengthBytes) this.failed = true
    this.#at += lengthBytes
    if (this.#at > this.#bytes.length) this.failed = true
  }

  /** The number in an item's head: a value, a length or a count of up to 32 bits. */
  #head(majorType: number): number {
    const first = this.#bytes[this.#at] ?? 0xff
    const info = first & 0x1f
    const extraBytes = info < 24 ? 0 : 2 ** (info - 24)
    const start = this.#at + 1
    const end = start + extraBytes
    if (first >>> 5 !== majorType || info > 26 || end > this.#bytes.length || this.failed) {
      this.failed = true
      return 0
    }
    this.#at = end
    return extraBytes === 0 ? info : this.#bytes.readUIntBE(start, extraBytes)
  }
}
