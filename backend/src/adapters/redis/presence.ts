import type { Redis } from 'ioredis'
import { z } from 'zod'
import { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import type { Dependencies } from '../../platform/dependencies.ts'
import type { Presence, PresenceStore } from '../../ports/presence.ts'
import { connectRedis, redisOutage, type RedisConnection } from './connection.ts'

export interface RedisPresenceOptions extends RedisConnection {
  /** Before all keys of this backend. */
  readonly prefix: string
}

const StoredPresence = z.object({
  user: UserId,
  connection: ConnectionId,
  client: ClientId.optional(),
  instance: z.string(),
  sinceMs: z.number(),
})

// A user is a hash: connection -> `<end in ms> <instance> <presence as JSON>`. Ends are counted on the
// clock of Redis, whatever those of cannons say. Single fields cannot expire by themselves before
// Redis 7.4, so that reading clears away what is over.
const nowLua = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`
const addLua = `${nowLua}
local ttl = tonumber(ARGV[4])
local value = string.format('%.0f', now + ttl) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], value)
if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
return 1
`
const removeLua = `
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value and string.match(value, '^%d+ (%S+) ') == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`
const listLua = `${nowLua}
local found = {}
for _, key in ipairs(KEYS) do
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local untilMs, text = string.match(all[i + 1], '^(%d+) %S+ (.*)$')
    if untilMs and tonumber(untilMs) > now then found[#found + 1] = text
    else redis.call('HDEL', key, all[i]) end
  end
end
return found
`
/** Keys in one script: a script holds up everybody else on the server. */
const usersAtOnce = 100
/** Nobody waits longer for a hint. */
const timeoutMs = 500

/**
 * Presences in Redis. A hint for whoever reads it: all calls fail within half a second when Redis is
 * slow and at once when it is away, and nothing is queued for it.
 */
export async function openRedisPresence(
  options: RedisPresenceOptions,
  deps: { readonly dependencies: Dependencies },
): Promise<PresenceStore> {
  const redis = await connectRedis(options)
  let lastError: Error | undefined
  redis.on('error', (error: Error) => {
    lastError = error
  })
  redis.on('ready', () => {
    lastError = undefined
  })
  redis.connect().catch(() => undefined)
  const dependency = deps.dependencies.add({
    name: 'redis (presence)',
    need: 'never',
    outageOf: redisOutage,
    limits: { timeoutMs, atOnce: 512, waiting: 0, failuresToBreak: 10 },
    probe: async () => {
      // Why there is no connection says more than that there is none.
      if (redis.status !== 'ready' && lastError !== undefined) throw lastError
      await redis.ping()
    },
  })
  const keyOf = (user: UserId): string => `${options.prefix}presence:${user}`
  const nameOf = (instance: string): string => encodeURIComponent(instance)

  return {
    async add(presence, ttlSeconds) {
      const { user, connection, client, instance, sinceMs } = presence
      const stored = { user, connection, ...(client && { client }), instance, sinceMs }
      await dependency.attempt({ what: 'note a presence', isWrite: true }, () =>
        redis.eval(
          addLua,
          1,
          keyOf(user),
          connection,
          nameOf(instance),
          JSON.stringify(stored),
          Math.round(ttlSeconds * 1000),
        ),
      )
    },
    async remove(user, connection, instance) {
      await dependency.attempt({ what: 'remove a presence', isWrite: true }, () =>
        redis.eval(removeLua, 1, keyOf(user), connection, nameOf(instance)),
      )
    },
    async list(users) {
      const keys = [...new Set(users)].map(keyOf)
      const found: Presence[] = []
      for (let first = 0; first < keys.length; first += usersAtOnce) {
        const some = keys.slice(first, first + usersAtOnce)
        const texts = await dependency.attempt({ what: 'list presences' }, () =>
          redis.eval(listLua, some.length, ...some),
        )
        found.push(...parsePresences(texts))
      }
      return found
    },
    async [Symbol.asyncDispose]() {
      await closeRedis(redis)
    },
  }
}

/** What was sent is written; a server that does not answer is not waited for. */
async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'ready') {
    await Promise.race([
      redis.quit().catch(() => undefined),
      new Promise((resolve) => void setTimeout(resolve, timeoutMs).unref()),
    ])
  }
  redis.disconnect()
}

/** Leaves out what no Tricord wrote. */
export function parsePresences(texts: unknown): Presence[] {
  if (!Array.isArray(texts)) return []
  return texts.flatMap((text: unknown) => {
    try {
      const { client, ...rest } = StoredPresence.parse(JSON.parse(String(text)))
      return [{ ...rest, ...(client && { client }) }]
    } catch {
      return []
    }
  })
}
