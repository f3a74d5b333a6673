import { Redis, type RedisOptions } from 'ioredis'
import type { Outage } from '../../platform/dependencies.ts'
import { readOptionalSecret, readTls, type TlsFiles } from '../../platform/secret-files.ts'

export interface HostAndPort {
  readonly host: string
  readonly port: number
}

export interface RedisConnection {
  /** One server, or the Sentinels that know which one is the primary. */
  readonly at:
    | { readonly kind: 'server'; readonly address: HostAndPort }
    | {
        readonly kind: 'sentinel'
        readonly sentinels: readonly HostAndPort[]
        readonly primaryName: string
        readonly user?: string | undefined
        readonly passwordFile?: string | undefined
      }
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
  readonly tls?: TlsFiles | undefined
}

/** A server that is connected and says nothing is left after so long; Sentinel names another one. */
const silenceMs = 2000
const connectMs = 1000
const longestPauseMs = 1000

/**
 * Connects in the background and for ever; a call while there is no connection fails at once.
 *
 * @throws when a file with a secret cannot be read
 */
export async function connectRedis(options: RedisConnection): Promise<Redis> {
  const [tls, password, sentinelPassword] = await Promise.all([
    readTls(options.tls),
    readOptionalSecret(options.passwordFile),
    readOptionalSecret(options.at.kind === 'sentinel' ? options.at.passwordFile : undefined),
  ])
  const again = (times: number): number => Math.min(times * 100, longestPauseMs)
  const common: Omit<RedisOptions, 'replyMapping'> = {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: connectMs,
    socketTimeout: silenceMs,
    keepAlive: 10_000,
    retryStrategy: again,
    // A primary of the past, or one that was cut off from its replicas: Sentinel knows better.
    reconnectOnError: (error) => /^(READONLY|NOREPLICAS)/.test(error.message),
    ...(options.user === undefined ? {} : { username: options.user }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  }
  const { at } = options
  if (at.kind === 'server') {
    const server: Omit<RedisOptions, 'replyMapping'> = {
      ...common,
      host: at.address.host,
      port: at.address.port,
    }
    return new Redis(server)
  }
  const sentinel: Omit<RedisOptions, 'replyMapping'> = {
    ...common,
    sentinels: at.sentinels.map(({ host, port }) => ({ host, port })),
    name: at.primaryName,
    role: 'master',
    sentinelRetryStrategy: again,
    sentinelCommandTimeout: connectMs,
    ...(at.user === undefined ? {} : { sentinelUsername: at.user }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  }
  return new Redis(sentinel)
}

/** What Redis answers when it cannot serve just now, or not us. */
const refusals =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|ERR max number of clients|ERR AUTH)/

export function redisOutage(error: unknown): Outage {
  if (!(error instanceof Error)) return undefined
  if (error.name === 'ReplyError') return refusals.test(error.message) ? 'refused' : undefined
  if (error instanceof TypeError || error instanceof RangeError) return undefined
  if (/Stream isn't writeable|ECONNREFUSED|sentinels are unreachable/.test(error.message)) {
    return 'refused'
  }
  return 'lost'
}
