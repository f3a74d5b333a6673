import { argon2, timingSafeEqual } from 'node:crypto'
import { Unavailable } from '../contract/error.ts'
import type { Ids } from './ids.ts'

/** What one hash costs whoever computes it (RFC 9106). */
export interface PasswordCost {
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** The least that OWASP's password storage cheat sheet recommends; some 30 ms on a small server. */
export const defaultPasswordCost: PasswordCost = { memoryKib: 19_456, passes: 2, lanes: 1 }

export interface Passwords {
  /** `$argon2id$v=19$m=…,t=…,p=…$<salt>$<hash>`: cost and salt are in the text. */
  hash(password: string): Promise<string>
  /**
   * Whether the hash was made of this password. False without a hash, after as long as with one, so
   * that time does not tell who has an account.
   *
   * @throws Error when the text is no hash of ours, which must not pass for a wrong password.
   */
  verify(password: string, stored: string | undefined): Promise<boolean>
  /** Whether the hash was made at another cost: whoever has the password right now makes it anew. */
  needsRehash(stored: string): boolean
}

/**
 * Hashes passwords with Argon2id, off the event loop. Each takes a thread of libuv's pool, which
 * files and gzip share, and its memory; so few run at a time, the others wait their turn, and when
 * too many wait the call is `Unavailable`.
 */
export function createPasswords(options: {
  ids: Pick<Ids, 'bytes'>
  cost?: PasswordCost
  maxConcurrent?: number
  maxWaiting?: number
}): Passwords {
  const { ids, cost = defaultPasswordCost, maxConcurrent = 2, maxWaiting = 200 } = options
  const takeTurn = turns(maxConcurrent, maxWaiting)
  const derive = (password: string, { cost, salt, lengthBytes }: Recipe) =>
    takeTurn(() => argon2id(password, cost, salt, lengthBytes))

  return {
    async hash(password) {
      const recipe = { cost, salt: ids.bytes(16), lengthBytes: 32 }
      return formatHash(recipe, await derive(password, recipe))
    },
    async verify(password, stored) {
      if (stored === undefined) {
        await derive(password, { cost, salt: Buffer.alloc(16), lengthBytes: 32 })
        return false
      }
      const { hash, ...recipe } = parseHash(stored)
      return timingSafeEqual(await derive(password, recipe), hash)
    },
    needsRehash(stored) {
      const { memoryKib, passes, lanes } = parseHash(stored).cost
      return memoryKib !== cost.memoryKib || passes !== cost.passes || lanes !== cost.lanes
    },
  }
}

interface Recipe {
  readonly cost: PasswordCost
  readonly salt: Buffer
  readonly lengthBytes: number
}

const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')

function formatHash({ cost, salt }: Recipe, hash: Buffer): string {
  const parameters = `m=${cost.memoryKib},t=${cost.passes},p=${cost.lanes}`
  return `$argon2id$v=19$${parameters}$${base64(salt)}$${base64(hash)}`
}

const pattern =
  /^\$argon2id\$v=19\$m=(?<memory>\d{1,7}),t=(?<passes>\d{1,2}),p=(?<lanes>\d{1,2})\$(?<salt>[\w+/]{11,64})\$(?<hash>[\w+/]{22,86})$/

function parseHash(stored: string): Recipe & { hash: Buffer } {
  const parts = pattern.exec(stored)?.groups
  // The text itself stays out of the error, and so out of logs.
  if (parts === undefined) throw new Error('a stored password is not an Argon2id hash')
  const hash = Buffer.from(parts['hash'] ?? '', 'base64')
  return {
    cost: {
      memoryKib: Number(parts['memory']),
      passes: Number(parts['passes']),
      lanes: Number(parts['lanes']),
    },
    salt: Buffer.from(parts['salt'] ?? '', 'base64'),
    lengthBytes: hash.length,
    hash,
  }
}

function argon2id(
  password: string,
  { memoryKib, passes, lanes }: PasswordCost,
  salt: Buffer,
  lengthBytes: number,
): Promise<Buffer> {
  const parameters = {
    message: password,
    nonce: salt,
    parallelism: lanes,
    tagLength: lengthBytes,
    memory: memoryKib,
    passes,
  }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, hash) => (error ? reject(error) : resolve(hash)))
  })
}

/** Runs so many pieces of work at a time, the others in the order in which they came. */
function turns(maxConcurrent: number, maxWaiting: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async function takeTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running < maxConcurrent) running += 1
    else if (waiting.length >= maxWaiting) {
      throw new Unavailable('too many passwords wait to be checked', { retryAfterSeconds: 1 })
    } else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // Whoever waits longest takes over the place, so the count stays.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
