import { errors, types } from 'cassandra-driver'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'

/** What was asked of the store when it failed. */
export type Attempt = 'read' | 'write'

const { responseErrorCodes: codes } = types

/** Refused before anything was done, and refused again however often it is tried. */
const refusals: ReadonlySet<number> = new Set([
  codes.syntaxError,
  codes.invalid,
  codes.configError,
  codes.alreadyExists,
])
/**
 * The coordinator knew before it wrote. Not among them is "overloaded", which it may find out after
 * some replicas were asked.
 */
const unwritten: ReadonlySet<number> = new Set([
  codes.unavailableException,
  codes.isBootstrapping,
  codes.unauthorized,
  codes.badCredentials,
])

/**
 * The driver's errors in the words of the port: `TypeError` for what can never succeed, `Unavailable`
 * when nothing was done, `UnknownOutcome` when a write may have been done.
 */
export function translate(error: unknown, attempt: Attempt, what: string): Error {
  if (error instanceof Unavailable || error instanceof TypeError) return error
  const message = `${what}: ${messageOf(error)}`
  if (error instanceof errors.ResponseError && refusals.has(error.code)) {
    return new TypeError(message, { cause: error })
  }
  return attempt === 'write' && mayHaveWritten(error)
    ? new UnknownOutcome(message, { cause: error })
    : new Unavailable(message, { cause: error })
}

function mayHaveWritten(error: unknown): boolean {
  if (error instanceof errors.NoHostAvailableError) {
    return Object.values(error.innerErrors as Record<string, unknown>).some(
      (inner) => inner instanceof Error && mayHaveWritten(inner),
    )
  }
  if (error instanceof errors.BusyConnectionError) return false
  if (error instanceof errors.AuthenticationError) return false
  if (error instanceof errors.ResponseError) return !unwritten.has(error.code)
  if (error instanceof Error && 'requestNotWritten' in error) {
    return error.requestNotWritten !== true
  }
  return true
}

/** Of several hosts' errors the first that says something: the driver's own sentence says nothing. */
function messageOf(error: unknown): string {
  if (error instanceof errors.NoHostAvailableError) {
    const inner: [string, unknown][] = Object.entries(error.innerErrors as object)
    if (inner.length === 0) return 'no node is up'
    // In one order, so that the same trouble is the same sentence.
    return inner
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([host, cause]) => `${host}: ${cause instanceof Error ? cause.message : String(cause)}`)
      .join('; ')
  }
  return error instanceof Error ? error.message : String(error)
}
