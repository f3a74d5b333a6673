import { setTimeout as sleep } from 'node:timers/promises'
import { auth, Client, errors, metrics, policies, types } from 'cassandra-driver'
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
   * Changes the schema of a keyspace; slow, and never repeated. One node is asked as long as it is up,
   * after all have agreed on the keyspace once: it knows of the changes before, and the others hear of
   * its own by and by.
   */
  administer(keyspace: string, query: string): Promise<void>
  /**
   * Resolves when all nodes of the datacenter that are up use the same definitions of these
   * keyspaces; `Unavailable` when they do not after half a minute. Others may change other keyspaces
   * meanwhile.
   */
  untilAgreed(keyspaces: Iterable<string>): Promise<void>
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
const invalidRequest: number = types.responseErrorCodes.invalid

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

  /** The node that changes the schema, and the keyspaces that were agreed upon since it does. */
  let administrator: Host | undefined
  let settled = new Set<string>()

  /** As the node uses it now, which is later than what its tables of the schema say. */
  async function describe(keyspace: string, host: Host): Promise<string> {
    const options = { ...plainRead, prepare: false, host }
    try {
      const query = `DESCRIBE KEYSPACE "${keyspace}" WITH INTERNALS`
      const { rows } = await client.execute(query, [], options)
      return rows.map((row) => String(row['create_statement'])).join('\n')
    } catch (error) {
      const isAbsent = error instanceof errors.ResponseError && error.code === invalidRequest
      if (isAbsent) return ''
      throw error
    }
  }

  async function untilAgreed(keyspaces: Iterable<string>): Promise<void> {
    const lateMs = performance.now() + agreementTimeoutMs
    const open = new Set(keyspaces)
    let cause: unknown
    while (open.size > 0) {
      try {
        for (const keyspace of open) {
          const found = hostsThatAreUp().map((host) => describe(keyspace, host))
          if (new Set(await Promise.all(found)).size > 1) break
          open.delete(keyspace)
        }
      } catch (error) {
        // A node that has just gone is not known to be down yet.
        cause = error
      }
      if (open.size === 0) return
      if (performance.now() > lateMs) {
        const names = [...open].join(', ')
        throw new Unavailable(`the nodes do not agree on the schema yet: ${names}`, { cause })
      }
      await sleep(agreementPauseMs)
    }
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

    async administer(keyspace, query) {
      if (administrator?.isUp() !== true) {
        ;[administrator] = hostsThatAreUp()
        settled = new Set()
      }
      if (!settled.has(keyspace)) {
        await untilAgreed([keyspace])
        settled.add(keyspace)
      }
      try {
        await client.execute(query, [], {
          ...(administrator && { host: administrator }),
          prepare: false,
          isIdempotent: false,
          readTimeout: administrationTimeoutMs,
        })
      } catch (error) {
        throw translate(error, 'write', 'Cassandra')
      }
    },

    untilAgreed,

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
