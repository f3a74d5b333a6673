/** A store of opaque byte strings: assets. Nothing here holds a whole object in memory. */

/** Small text kept with the object; keys are lower-case `[a-z0-9-]`, at most 2 KiB together. */
export type ObjectMetadata = Readonly<Record<string, string>>

export interface StoredObject {
  sizeBytes: number
  metadata: ObjectMetadata
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
  /** The content is read as the consumer takes it; `range` is inclusive, in bytes. */
  get(
    key: string,
    range?: { first: number; last: number },
  ): Promise<(StoredObject & { content: AsyncIterable<Uint8Array> }) | undefined>
  replaceMetadata(key: string, metadata: ObjectMetadata): Promise<boolean>
  /** True when there was something to remove. */
  remove(key: string): Promise<boolean>
  /** Removes objects under the prefix that are older than this; returns how many. */
  expire(prefix: string, olderThanMs: number): Promise<number>
}
