import { setTimeout as sleep } from 'node:timers/promises'
import { auth, Client, metrics, policies, types } from 'cassandra-driver'
import type { Host, QueryOptions } from 'cassandra-driver'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { translate, type Attempt } from './failure.ts'
import { repeatBudget } from './repeat-budget.ts'
import { createRetryPolicy, createSecondAttemptPolicy } from './retry-policy.ts'
import type { RawRow, Statement } from './statements.ts'

export interface SessionOptions {
  /** `host` or `host:port` of some nodes; the others are found through them. */
  readonly contactPoints: readonly string[]
  /** Requests go to nodes of this datacenter only. */
  readonly localDatacenter: string
  readonly credentials?: { readonly user: string; readonly password: string }
  /** PEM texts. Without: plain TCP. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
  /** What a caller waits, repetitions and all. */
  readonly requestTimeoutMs?: number
  /** The same of conditional writes, which are never repeated; as long when absent. */
  readonly conditionalTimeoutMs?: number
  /** Requests that may be in flight; beyond, they are `Unavailable` at once. */
  readonly largestInFlight?: number
  readonly largestInFlightBytes?: number
  readonly counted?: (event: RequestKind | Trouble) => void
  readonly log?: (level: string, message: string) => void
}

/** Counted once for each request. */
export type RequestKind = 'read' | 'serial-read' | 'write' | 'conditional-write'
/** Attempts that were repeated, and requests that ran out of time or found no room. */
export type Trouble = 'retry' | 'second-attempt' | 'timeout' | 'refused'

/** Connections to a cluster, and the rules by which requests go out: how long, how often, to whom. */
export interface Session extends AsyncDisposable {
  read(statement: Statement, options?: { isSerial?: boolean | undefined }): Promise<RawRow[]>
  /** One statement, or several that happen all or none. */
  write(statements: readonly Statement[], options: { isOnePartition: boolean }): Promise<void>
  /** Whether all conditions held. Statements lie in one partition. */
  writeIf(statements: readonly Statement[]): Promise<boolean>
  /**
   * A statement without values, such as one that changes the schema; slow, and never repeated. One
   * node is asked as long as it is up, since it knows of the changes before; the others hear of
   * them by and by.
   */
  administer(query: string): Promise<RawRow[]>
  /**
   * Resolves when all nodes of the datacenter that are up have one schema; `Unavailable` when they do
   * not have it after half a minute.
   */
  untilOneSchema(): Promise<void>
}

const { localQuorum, localSerial } = types.consistencies

/** Of a request that is safe to repeat: of the whole time an attempt may take so much. */
const attemptShare = 0.4
/** An attempt that took so long gets a second one at its side, at another node. */
const secondAttemptShare = 0.1
/** Requests that may be sent twice, of all; and at once, after a while in which none had to be. */
const repeatShare = 0.1
const repeatBurst = 200
const administrationTimeoutMs = 30_000
/** Nodes tell one another of a change at once, when they are not busy. */
const agreementTimeoutMs = 30_000
const agreementPauseMs = 100

/** Resolves once a node answered. */
export async function connect(options: SessionOptions): Promise<Session> {
  const requestTimeoutMs = options.requestTimeoutMs ?? 2500
  const attemptTimeoutMs = Math.ceil(requestTimeoutMs * attemptShare)
  const conditionalTimeoutMs = options.conditionalTimeoutMs ?? requestTimeoutMs
  const largestInFlight = options.largestInFlight ?? 4096
  const largestInFlightBytes = options.largestInFlightBytes ?? 64 * 1024 * 1024
  const counted = options.counted ?? (() => undefined)
  const { credentials, tls } = options

  const budget = repeatBudget({ share: repeatShare, burst: repeatBurst })
  // The only place where the driver tells of a second attempt.
  const driverMetrics = Object.assign(new metrics.DefaultMetrics(), {
    onSpeculativeExecution() {
      budget.spend()
      counted('second-attempt')
    },
  })

  const client = new Client({
    metrics: driverMetrics,
    contactPoints: [...options.contactPoints],
    localDataCenter: options.localDatacenter,
    ...(credentials && {
      authProvider: new auth.PlainTextAuthProvider(credentials.user, credentials.password),
    }),
    ...(tls && { sslOptions: { ...tls, rejectUnauthorized: true } }),
    encoding: { useBigIntAsLong: true, copyBuffer: true },
    // Every statement is known beforehand; the tables of all services have some hundreds.
    maxPrepared: 2000,
    // A frozen node must not hold up the first use of a statement. Other nodes learn it when they
    // first meet it.
    prepareOnAllHosts: false,
    policies: {
      // Replicas first, those that answer slowly or just came up last.
      loadBalancing: new policies.loadBalancing.DefaultLoadBalancingPolicy({
        localDc: options.localDatacenter,
      }),
      retry: createRetryPolicy(budget, () => counted('retry')),
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(200, 3000, true),
      speculativeExecution: createSecondAttemptPolicy(
        budget,
        Math.ceil(requestTimeoutMs * secondAttemptShare),
      ),
      // Plain writes name their timestamp; conditional ones must not have one of ours.
      timestampGeneration: noTimestamps,
    },
    pooling: { heartBeatInterval: 2000, warmup: true },
    socketOptions: {
      connectTimeout: requestTimeoutMs,
      readTimeout: attemptTimeoutMs,
      // So many unanswered requests of a connection make it a dead one.
      defunctReadTimeoutThreshold: 64,
    },
    // Whoever changes the schema waits once, behind all changes.
    protocolOptions: { maxSchemaAgreementWaitSeconds: 0 },
    queryOptions: { consistency: localQuorum, serialConsistency: localSerial, prepare: true },
  })
  client.on('log', (level: string, className: string, message: string) => {
    options.log?.(level, `${className}: ${message}`)
  })
  try {
    await client.connect()
  } catch (error) {
    await client.shutdown().catch(() => undefined)
    throw translate(error, 'read', 'connect')
  }

  const plain: QueryOptions = { isIdempotent: true, readTimeout: attemptTimeoutMs }
  const plainRead: QueryOptions = { ...plain, autoPage: false, fetchSize: 0 }
  // A serial read finishes what others began: repeating it is as safe as it was the first time.
  const serialRead: QueryOptions = { ...plainRead, consistency: localSerial }
  const conditional: QueryOptions = { isIdempotent: false, readTimeout: conditionalTimeoutMs }

  let inFlight = 0
  let inFlightBytes = 0

  /** Within the time and the room there is. */
  async function bounded<Result>(
    kind: RequestKind,
    sizeBytes: number,
    work: () => Promise<Result>,
    timeoutMs = requestTimeoutMs,
  ): Promise<Result> {
    const attempt: Attempt = kind === 'read' || kind === 'serial-read' ? 'read' : 'write'
    counted(kind)
    if (inFlight >= largestInFlight || inFlightBytes + sizeBytes > largestInFlightBytes) {
      counted('refused')
      throw new Unavailable('too many requests wait for Cassandra', { retryAfterSeconds: 1 })
    }
    inFlight += 1
    inFlightBytes += sizeBytes
    budget.earn()
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const timer = setTimeout(() => {
      counted('timeout')
      const message = `Cassandra did not answer a ${attempt} within ${timeoutMs} ms`
      reject(attempt === 'write' ? new UnknownOutcome(message) : new Unavailable(message))
    }, timeoutMs)
    // What the caller gave up still takes room until the driver is done with it.
    work()
      .then(resolve, (error: unknown) =>
        reject(translate(error, attempt, `Cassandra, a ${attempt}`)),
      )
      .finally(() => {
        clearTimeout(timer)
        inFlight -= 1
        inFlightBytes -= sizeBytes
      })
    return promise
  }

  const hostsThatAreUp = (): Host[] =>
    client.hosts
      .values()
      .filter((host) => host.datacenter === options.localDatacenter && host.isUp())

  /** The node that changes the schema. */
  let administrator: Host | undefined

  /**
   * Each node is asked for its own version: what one knows of the others is old by a second, and
   * while somebody else changes something it would never be one.
   */
  async function untilOneSchema(): Promise<void> {
    const lateMs = performance.now() + agreementTimeoutMs
    let cause: unknown
    while (performance.now() < lateMs) {
      const versions = hostsThatAreUp().map(async (host) => {
        const { rows } = await client.execute('SELECT schema_version FROM system.local', [], {
          ...plainRead,
          prepare: false,
          host,
        })
        return String(rows[0]?.['schema_version'])
      })
      try {
        if (new Set(await Promise.all(versions)).size === 1) return
      } catch (error) {
        // A node that has just gone is not known to be down yet.
        cause = error
      }
      await sleep(agreementPauseMs)
    }
    throw new Unavailable('the nodes do not agree on the schema yet', { cause })
  }

  return {
    read: ({ query, params }, { isSerial } = {}) =>
      bounded(isSerial === true ? 'serial-read' : 'read', sizeOf(params), async () => {
        const found = await client.execute(
          query,
          params,
          isSerial === true ? serialRead : plainRead,
        )
        return found.rows
      }),

    write: (statements, { isOnePartition }) =>
      bounded('write', totalSize(statements), async () => {
        const [first] = statements
        if (first === undefined) return
        if (statements.length === 1) await client.execute(first.query, first.params, plain)
        else await client.batch([...statements], { ...plain, logged: !isOnePartition })
      }),

    writeIf: (statements) =>
      bounded(
        'conditional-write',
        totalSize(statements),
        async () => {
          const [first] = statements
          if (first === undefined) return true
          const result =
            statements.length === 1
              ? await client.execute(first.query, first.params, conditional)
              : await client.batch([...statements], { ...conditional, logged: false })
          return result.wasApplied()
        },
        conditionalTimeoutMs,
      ),

    async administer(query) {
      if (administrator?.isUp() !== true) {
        // Whoever is next may not have heard of what was changed before, here or elsewhere.
        await untilOneSchema()
        ;[administrator] = hostsThatAreUp()
      }
      try {
        const result = await client.execute(query, [], {
          ...(administrator && { host: administrator }),
          prepare: false,
          isIdempotent: false,
          readTimeout: administrationTimeoutMs,
        })
        return result.rows
      } catch (error) {
        throw translate(error, 'write', 'Cassandra')
      }
    },

    untilOneSchema,

    [Symbol.asyncDispose]: () => client.shutdown(),
  }
}

/** The driver's type does not know that it takes null for "none". */
const noTimestamps = null as unknown as policies.timestampGeneration.TimestampGenerator

const sizeOf = (params: Statement['params']): number => {
  let sizeBytes = 100
  for (const value of params) sizeBytes += value?.length ?? 0
  return sizeBytes
}
const totalSize = (statements: readonly Statement[]): number =>
  statements.reduce((sum, { params }) => sum + sizeOf(params), 0)
