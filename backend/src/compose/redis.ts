import type { RedisPresenceOptions } from '../adapters/redis/presence.ts'
import type { RedisConfig } from './config.ts'

/** One server, or the primary that Sentinels name. */
export function redisPlace(config: RedisConfig): RedisPresenceOptions {
  const { address, sentinels = [], primaryName, prefix, user, passwordFile, tls } = config
  return {
    at:
      address === undefined
        ? {
            kind: 'sentinel',
            sentinels,
            primaryName,
            user: config.sentinelUser,
            passwordFile: config.sentinelPasswordFile,
          }
        : { kind: 'server', address },
    prefix,
    user,
    passwordFile,
    tls,
  }
}
