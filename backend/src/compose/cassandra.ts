import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { watchAnswers } from '../adapters/cassandra/answers.ts'
import { announceSchemaUse } from '../adapters/cassandra/schema-users.ts'
import { latestMigration } from '../adapters/cassandra/migrations/all.ts'
import type { SessionOptions } from '../adapters/cassandra/session.ts'
import {
  cassandraStore,
  waitForSession,
  type CassandraOptions,
} from '../adapters/cassandra/wide-column.ts'
import { ConfigError } from '../platform/config/load.ts'
import type { Dependencies } from '../platform/dependencies.ts'
import type { Platform } from '../platform/service.ts'
import type { WideColumnStore } from '../ports/wide-column.ts'
import type { CassandraConfig } from './config.ts'

/** How to reach the cluster; secrets are read from their files. */
export async function cassandraOptions(
  config: CassandraConfig,
  platform: Pick<Platform, 'log' | 'clock'>,
): Promise<CassandraOptions> {
  const { log, clock } = platform
  return {
    ...(await sessionOptions(config)),
    keyspace: config.keyspace,
    nowMs: () => clock.nowMs(),
    waiting: (reason) => {
      if (reason === undefined) log.info('Cassandra is ready')
      else log.warn({ reason }, 'waiting for Cassandra')
    },
  }
}

async function sessionOptions(config: CassandraConfig): Promise<SessionOptions> {
  const { contactPoints, localDatacenter, requestTimeoutMs, user, passwordFile, tls } = config
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw new ConfigError('the configuration', [
      'wideColumn: user and passwordFile come together or not at all',
    ])
  }
  return {
    contactPoints,
    localDatacenter,
    requestTimeoutMs,
    ...(user !== undefined &&
      passwordFile !== undefined && {
        credentials: { user, password: (await secret(passwordFile)).trim() },
      }),
    ...(tls && {
      tls: {
        ca: await secret(tls.ca),
        ...(tls.cert !== undefined && { cert: await secret(tls.cert) }),
        ...(tls.key !== undefined && { key: await secret(tls.key) }),
      },
    }),
  }
}

async function secret(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError('the configuration', [`wideColumn: ${reason}`])
  }
}

/**
 * The store for one process, which says for as long as it is open that this release uses the schema.
 *
 * @param name Of the service, for people.
 */
export async function openCassandraStore(
  config: CassandraConfig,
  platform: Platform,
  name: string,
  dependencies: Dependencies,
): Promise<WideColumnStore> {
  const state = dependencies.addReported('cassandra (wide-column)', 'always')
  const options: CassandraOptions = {
    ...(await cassandraOptions(config, platform)),
    waiting(reason) {
      if (reason === undefined) state.noteUp()
      else state.noteDown(reason)
    },
    counted(event) {
      if (event === 'retry' || event === 'second-attempt') state.countRetry()
      else if (event === 'timeout') state.countFailure(event)
      else if (event === 'refused') state.countFailure('full')
      else state.countRequest(event)
    },
  }
  const watch = watchAnswers(await waitForSession(options), {
    clock: platform.clock,
    report: state,
  })
  const store = cassandraStore(watch.session, options)
  const use = announceSchemaUse(store, {
    service: name,
    host: hostname(),
    process: platform.ids.uuid(),
    schema: latestMigration,
    clock: platform.clock,
    failed: (err) => platform.log.warn({ err }, 'the use of the schema could not be announced'),
  })
  const stopping = new AbortController()
  let watching: Promise<void> | undefined
  return {
    ...store,
    async open(tables) {
      await store.open(tables)
      state.noteUp()
      await use.begin()
      watching ??= watch.run(() => use.check(), stopping.signal)
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await watching
      await use[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}
