/** What went wrong with a write, as plain data that crosses threads. */
export interface Failure {
  /**
   * `refused`: the write itself is wrong. `unavailable`: nothing was written, it may work later.
   * `damaged`: nothing was written, and the file needs a person.
   */
  kind: 'refused' | 'unavailable' | 'unknown-outcome' | 'damaged'
  message: string
}

const ioError = 10
/** Primary result codes that say something about the file or the machine, not about a statement. */
const conditions = new Map([
  [5, 'the file is locked'],
  [6, 'the file is locked'],
  [7, 'out of memory'],
  [8, 'the file cannot be written'],
  [ioError, 'the disk failed to read or write'],
  [11, 'the file is damaged'],
  [13, 'the disk is full'],
  [14, 'the file cannot be opened'],
  [26, 'the file is not a database'],
])
const damages = new Set([11, 26])
/** SQLITE_CONSTRAINT_DATATYPE: values are encoded by type, so only an expiry can be of another. */
const mixedTtl = 3091

const codeOf = (error: unknown): number =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
const primaryCodeOf = (error: unknown): number => codeOf(error) & 0xff
const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** True when it is not the statement's fault, so that every write of the commit is concerned. */
export const isCondition = (error: unknown): boolean => conditions.has(primaryCodeOf(error))

/** A write that cannot be done whatever the machine's state. */
export function refusal(error: unknown): Failure {
  const reason = 'a row with a TTL is updated with a TTL, and a row without is updated without'
  return { kind: 'refused', message: codeOf(error) === mixedTtl ? reason : messageOf(error) }
}

/**
 * A commit that failed as a whole. After a failed sync it may or may not be on disk; a full disk
 * leaves a commit without its end, which is no commit.
 */
export function commitFailure(error: unknown, step: 'before' | 'during' | 'after'): Failure {
  const code = primaryCodeOf(error)
  const condition = conditions.get(code)
  const message = condition ? `${condition} (${messageOf(error)})` : messageOf(error)
  if (damages.has(code)) return { kind: 'damaged', message }
  const isUnknown = step === 'after' || (step === 'during' && (!condition || code === ioError))
  return { kind: isUnknown ? 'unknown-outcome' : 'unavailable', message }
}

export const isDamage = (error: unknown): boolean => damages.has(primaryCodeOf(error))
