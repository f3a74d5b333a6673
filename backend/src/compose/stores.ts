import { mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { openFilesystem } from '../adapters/filesystem/objects.ts'
import { openMailbox, type Mailbox } from '../adapters/mailbox/mailbox.ts'
import { serveMailbox } from '../adapters/mailbox/page.ts'
import { memoryPresence } from '../adapters/memory/presence.ts'
import { createNoticeboard, type Noticeboard } from '../adapters/noticeboard/noticeboard.ts'
import { serveNoticeboard } from '../adapters/noticeboard/page.ts'
import type { Dependencies } from '../platform/dependencies.ts'
import type { CommitHooks } from '../adapters/sqlite/group-commit.ts'
import { openSqlite } from '../adapters/sqlite/wide-column.ts'
import { openSqliteSearch } from '../adapters/sqlite/user-search.ts'
import type { Platform } from '../platform/service.ts'
import type { MailSender } from '../ports/mail.ts'
import type { ObjectStore } from '../ports/objects.ts'
import type { PresenceStore } from '../ports/presence.ts'
import type { NativePush } from '../ports/push.ts'
import type { UserSearch } from '../ports/search.ts'
import type { WideColumnStore } from '../ports/wide-column.ts'
import type { MainPort } from '../services/gundeck/ring/beat-thread.ts'
import type { Config } from './config.ts'

/** Opens what a service asks for, once; everything opened is closed together. */
export interface Stores extends AsyncDisposable {
  wideColumn(): Promise<WideColumnStore>
  /** To a thread with a connection of its own; undefined where that gains nothing. */
  beat(): Promise<MainPort | undefined>
  search(): Promise<UserSearch>
  objects(): Promise<ObjectStore>
  presence(): Promise<PresenceStore>
  mail(): Promise<MailSender>
  /** Undefined where no app can be woken. */
  push(): Promise<NativePush | undefined>
  /** Answers for what the opened adapters show on the operator's listener; false: not theirs. */
  serveOperator(request: IncomingMessage, response: ServerResponse): boolean
}

/**
 * Engines need not be there yet: what asks for them is `Unavailable` until they are.
 *
 * @param name Of the files below the data folder: one set per process, since SQLite has one writer.
 */
export function openStores(
  config: Config,
  platform: Platform,
  name: string,
  dependencies: Dependencies,
  commitHooks?: CommitHooks,
): Stores {
  const opened = new AsyncDisposableStack()
  let mailbox: Mailbox | undefined
  let noticeboard: Noticeboard | undefined
  const file = async (...parts: string[]): Promise<string> => {
    await mkdir(config.data, { recursive: true, mode: 0o700 })
    return join(config.data, ...parts)
  }
  const once = <T extends AsyncDisposable>(open: () => Promise<T>): (() => Promise<T>) => {
    let promise: Promise<T> | undefined
    return () => (promise ??= open().then((store) => opened.use(store)))
  }

  return {
    wideColumn: once(async () => {
      if (config.wideColumn.kind === 'cassandra') {
        const { openCassandraStore } = await import('./cassandra.ts')
        return openCassandraStore(config.wideColumn, platform, name, dependencies)
      }
      return openSqlite({
        file: await file(`${name}.sqlite`),
        synchronous: config.wideColumn.synchronous,
        nowMs: () => platform.clock.nowMs(),
        ...(commitHooks === undefined ? {} : { hooks: commitHooks }),
        onFatal: (err) => platform.log.fatal({ err }, 'the store is damaged: restore a backup'),
      })
    }),
    async beat() {
      if (config.wideColumn.kind !== 'cassandra') return undefined
      const { openBeatThread } = await import('./cassandra-beat.ts')
      return opened.use(await openBeatThread(config.wideColumn, platform))
    },
    search: once(async () => {
      if (config.search.kind === 'opensearch') {
        const { openOpenSearch } = await import('../adapters/opensearch/user-search.ts')
        return openOpenSearch(config.search, { dependencies })
      }
      return openSqliteSearch({ file: await file(`${name}-search.sqlite`) })
    }),
    objects: once(async () => {
      if (config.objects.kind === 's3') {
        const { openS3 } = await import('../adapters/s3/objects.ts')
        return openS3(config.objects, { clock: platform.clock, dependencies, log: platform.log })
      }
      return openFilesystem({ root: await file('objects'), nowMs: () => platform.clock.nowMs() })
    }),
    presence: once(async () => {
      if (config.presence.kind === 'redis') {
        const { openRedisPresence } = await import('../adapters/redis/presence.ts')
        const { redisPlace } = await import('./redis.ts')
        return openRedisPresence(redisPlace(config.presence), { dependencies })
      }
      return memoryPresence(platform.clock)
    }),
    mail: once(async () => {
      if (config.mail.kind === 'smtp') {
        const { openSmtp } = await import('../adapters/smtp/smtp.ts')
        return openSmtp(config.mail)
      }
      mailbox = await openMailbox({
        file: await file('mails.jsonl'),
        from: `wire@${config.domain}`,
        clock: platform.clock,
        ids: platform.ids,
      })
      return mailbox
    }),
    async push() {
      if (config.push.kind === 'none') return undefined
      noticeboard ??= opened.use(createNoticeboard(platform.clock))
      return noticeboard
    },
    serveOperator: (request, response) =>
      (mailbox !== undefined && serveMailbox(mailbox, request, response)) ||
      (noticeboard !== undefined && serveNoticeboard(noticeboard, request, response)),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
