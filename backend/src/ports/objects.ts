/** A store of opaque byte strings: assets. Nothing here holds a whole object in memory. */

/** A key is made of plain names between slashes, so that it leads nowhere in any engine. */
const keyPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/

/** @throws TypeError */
export function requireObjectKey(key: string): string {
  if (!keyPattern.test(key)) {
    throw new TypeError('an object key is made of plain names between slashes')
  }
  return key
}

/** Small text kept with the object; keys are lower-case `[a-z0-9-]`, at most 2 KiB together. */
export type ObjectMetadata = Readonly<Record<string, string>>

export interface StoredObject {
  sizeBytes: number
  metadata: ObjectMetadata
  /** To the second. Some engines count from the last change of the metadata. */
  createdMs: number
}

export interface ObjectStore extends AsyncDisposable {
  /**
   * Stores the whole content or nothing: an error of `content`, a length other than `sizeBytes` or
   * a crash leaves no object behind. Durable when the promise resolves.
   */
  put(
    key: string,
    content: AsyncIterable<Uint8Array>,
    options: { sizeBytes: number; metadata: ObjectMetadata },
  ): Promise<void>
  head(key: string): Promise<StoredObject | undefined>
  /**
   * The content is read as the consumer takes it, and nothing is held for one who never does.
   * `range` is inclusive, in bytes; what lies beyond the end is left out. `sizeBytes` is that of the
   * whole object.
   */
  get(
    key: string,
    range?: { first: number; last: number },
  ): Promise<(StoredObject & { content: AsyncIterable<Uint8Array> }) | undefined>
  replaceMetadata(key: string, metadata: ObjectMetadata): Promise<boolean>
  /** True when there was something to remove. */
  remove(key: string): Promise<boolean>
  /**
   * Removes objects under the prefix (with its slash) that were created before; returns how many.
   */
  expire(prefix: string, olderThanMs: number): Promise<number>
}
