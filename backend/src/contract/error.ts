import { z } from 'zod'

/** An error that an endpoint may answer, as it stands on the wire: `{code, label, message}`. */
export interface ErrorDeclaration {
  readonly status: number
  readonly label: string
  /** One sentence for a person. Clients match on `label`; see the SDK's exceptions in §2.2. */
  readonly message: string
}

/** Groups the errors of one noun; keys are the names that handlers use. */
export function errors<const E extends Readonly<Record<string, ErrorDeclaration>>>(
  declarations: E,
): E {
  return declarations
}

export const ErrorBody = z.looseObject({
  code: z.int(),
  label: z.string(),
  message: z.string(),
})
export type ErrorBody = z.infer<typeof ErrorBody>

export interface ErrorDetails {
  /** Replaces the declared sentence; never carries secrets or internals. */
  message?: string
  /** Further fields of the body. */
  data?: Readonly<Record<string, unknown>>
  /** Seconds; becomes `Retry-After`. */
  retryAfterSeconds?: number
  cause?: unknown
}

/** Ends a request with a declared error. */
export class ApiError extends Error {
  readonly declaration: ErrorDeclaration
  readonly details: ErrorDetails

  constructor(declaration: ErrorDeclaration, details: ErrorDetails = {}) {
    super(details.message ?? declaration.message, { cause: details.cause })
    this.name = 'ApiError'
    this.declaration = declaration
    this.details = details
  }

  body(): ErrorBody {
    const { status, label } = this.declaration
    return { code: status, label, message: this.message, ...this.details.data }
  }
}

/** A dependency is down or overloaded: the same call may succeed later. Answered as 503. */
export class Unavailable extends Error {
  readonly retryAfterSeconds: number

  constructor(attempted: string, options: { cause?: unknown; retryAfterSeconds?: number } = {}) {
    super(attempted, { cause: options.cause })
    this.name = 'Unavailable'
    this.retryAfterSeconds = options.retryAfterSeconds ?? 5
  }
}

/** A write was sent and no answer came: it may or may not have been done. */
export class UnknownOutcome extends Unavailable {
  constructor(attempted: string, options: { cause?: unknown } = {}) {
    super(attempted, options)
    this.name = 'UnknownOutcome'
  }
}

/** Errors that the kit itself can answer, on every endpoint; they need not be declared again. */
export const kitErrors = errors({
  badRequest: { status: 400, label: 'bad-request', message: 'The request is not valid' },
  unauthorized: {
    status: 401,
    label: 'unauthorized',
    message: 'The access token is missing, expired or not valid',
  },
  accessDenied: {
    status: 403,
    label: 'access-denied',
    message: 'This kind of token may not use this path',
  },
  notFound: { status: 404, label: 'not-found', message: 'There is nothing at this path' },
  unsupportedVersion: {
    status: 404,
    label: 'unsupported-version',
    message: 'This server does not speak that API version',
  },
  methodNotAllowed: {
    status: 405,
    label: 'method-not-allowed',
    message: 'This path does not take that method',
  },
  timeout: {
    status: 408,
    label: 'request-timeout',
    message: 'The request did not arrive in time',
  },
  tooLarge: { status: 413, label: 'request-too-large', message: 'The request body is too large' },
  unsupportedMediaType: {
    status: 415,
    label: 'unsupported-media-type',
    message: 'The request body has a type that this path does not take',
  },
  tooManyRequests: {
    status: 420,
    label: 'too-many-requests',
    message: 'Too many requests: wait a moment and try again',
  },
  headersTooLarge: {
    status: 431,
    label: 'headers-too-large',
    message: 'The headers of the request are too large',
  },
  defect: { status: 500, label: 'server-error', message: 'The server failed to answer' },
  unavailable: {
    status: 503,
    label: 'service-unavailable',
    message: 'A part of the server is not available: try again in a moment',
  },
})
