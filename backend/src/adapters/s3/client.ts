import { S3Client } from '@aws-sdk/client-s3'
import type { Outage } from '../../platform/dependencies.ts'
import { readSecret, readTls, type TlsFiles } from '../../platform/secret-files.ts'

export interface S3Connection {
  /** `http://host:port` or `https://host`. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** Bucket in the path, not in the host name; most servers other than Amazon's need it. */
  readonly isPathStyle: boolean
  readonly accessKeyFile: string
  readonly secretKeyFile: string
  readonly tls?: TlsFiles | undefined
}

const connectMs = 1000
/** Without a logger it would write to the console. */
const silent = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/**
 * The `minio` package has no time limit for a request and no way to end one; Amazon's client has
 * both, and speaks to any S3.
 *
 * @throws when a file with a secret cannot be read
 */
export async function connectS3(options: S3Connection): Promise<S3Client> {
  const [accessKeyId, secretAccessKey, tls] = await Promise.all([
    readSecret(options.accessKeyFile),
    readSecret(options.secretKeyFile),
    readTls(options.tls),
  ])
  return new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    forcePathStyle: options.isPathStyle,
    credentials: { accessKeyId, secretAccessKey },
    // We try again ourselves, within limits and counted.
    maxAttempts: 1,
    logger: silent,
    // Other servers than Amazon's do not know all of its checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // For an upload that waits for "continue" the client opens a connection of another kind, which
    // knows nothing of our certificates.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: connectMs,
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      httpAgent: { keepAlive: true, maxSockets: Infinity },
      httpsAgent: { keepAlive: true, maxSockets: Infinity, ...tls },
    },
  })
}

/** S3 took or gave no byte for too long. */
export class Stalled extends Error {
  constructor() {
    super('the object store stalled')
    this.name = 'Stalled'
  }
}

export function s3Outage(error: unknown): Outage {
  if (!(error instanceof Error)) return undefined
  if (error instanceof Stalled) return 'lost'
  const status = statusOf(error)
  if (status !== undefined) {
    // Wrong keys and a bucket that is not there are states of the installation, not answers.
    if (status === 429 || status === 503 || status === 403) return 'refused'
    if (error.name === 'NoSuchBucket') return 'refused'
    return status >= 500 ? 'lost' : undefined
  }
  if (error instanceof TypeError || error instanceof RangeError) return undefined
  const code = 'code' in error ? String(error.code) : ''
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH'
    ? 'refused'
    : 'lost'
}

/** The status of an answer of the server; undefined for an error without one. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  const metadata = error.$metadata
  if (typeof metadata !== 'object' || metadata === null) return undefined
  return 'httpStatusCode' in metadata && typeof metadata.httpStatusCode === 'number'
    ? metadata.httpStatusCode
    : undefined
}
