import { Client, errors } from '@opensearch-project/opensearch'
import { Unavailable } from '../../contract/error.ts'
import type { Outage } from '../../platform/dependencies.ts'
import { readOptionalSecret, readTls, type TlsFiles } from '../../platform/secret-files.ts'

export interface OpenSearchConnection {
  /** `http://host:port` or `https://host:port`, some or all of the nodes. */
  readonly nodes: readonly string[]
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
  readonly tls?: TlsFiles | undefined
}

/**
 * Asks nodes in turn, and leaves out for a while those that did not answer.
 *
 * @throws when a file with a secret cannot be read
 */
export async function connectOpenSearch(
  options: OpenSearchConnection,
  requestTimeoutMs: number,
): Promise<Client> {
  const [tls, password] = await Promise.all([
    readTls(options.tls),
    readOptionalSecret(options.passwordFile),
  ])
  return new Client({
    nodes: [...options.nodes],
    requestTimeout: requestTimeoutMs,
    // We try again ourselves, within limits and counted.
    maxRetries: 0,
    resurrectStrategy: 'optimistic',
    ...(options.user === undefined
      ? {}
      : { auth: { username: options.user, password: password ?? '' } }),
    ...(tls === undefined ? {} : { ssl: tls }),
  })
}

export function openSearchOutage(error: unknown): Outage {
  if (!(error instanceof Error)) return undefined
  // An item of a bulk, or a whole index, that the server would not take.
  if (error instanceof Unavailable) return 'refused'
  const status = statusOf(error)
  if (status !== undefined) {
    // Wrong credentials and an index that is not there are states of the installation.
    if (status === 401 || status === 403 || status === 404 || status === 429 || status === 503) {
      return 'refused'
    }
    return status >= 500 ? 'lost' : undefined
  }
  if (error instanceof errors.NoLivingConnectionsError) return 'refused'
  if (error instanceof errors.OpenSearchClientError) {
    return error.message.includes('ECONNREFUSED') ? 'refused' : 'lost'
  }
  return undefined
}

/** The status of an answer of the server; undefined for an error without one. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof errors.ResponseError ? (error.statusCode ?? undefined) : undefined
}
