import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { commitFailure, isCondition, type Failure } from './failure.ts'

/** The error that a caller gets for a failed write. Not in the writer's thread: it needs no zod. */
export function errorOf({ kind, message }: Failure): Error {
  switch (kind) {
    case 'refused':
      return new TypeError(`the write was refused: ${message}`)
    case 'unavailable':
    case 'damaged':
      return new Unavailable(`nothing was written: ${message}`)
    case 'unknown-outcome':
      return new UnknownOutcome(`the write may be lost: ${message}`)
  }
}

/** The error of a read: the machine's troubles become `Unavailable`. */
export function readError(error: unknown): unknown {
  if (!isCondition(error)) return error
  const { message } = commitFailure(error, 'before')
  return new Unavailable(`nothing was read: ${message}`, { cause: error })
}
