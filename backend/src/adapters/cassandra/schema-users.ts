import { Unavailable } from '../../contract/error.ts'
import type { Clock } from '../../platform/clock.ts'
import { table } from '../../ports/wide-column.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'

/**
 * Which processes use the schema now, and as of which release: one row for each, which it renews.
 * What an older release still reads must not be taken away.
 */
export const schemaUsersTable = table({
  name: 'jobs_schema_users',
  partition: { scope: 'text' },
  cluster: { process: 'uuid' },
  columns: {
    service: 'text',
    host: 'text',
    /** Number of the last migration that the release knows. */
    schema: 'int',
  },
})

const scope = 'all'
/** A process that says nothing for so long has ended, or is cut off and must start anew. */
export const userTtlSeconds = 90
const renewEveryMs = 20_000
const registerAgainMs = 1000

export interface SchemaUser {
  readonly service: string
  readonly host: string
  readonly schema: number
}

export interface SchemaUse extends AsyncDisposable {
  /** Resolves when the use is known; calling it again does nothing. */
  begin(): Promise<void>
  /** Asks a majority of the nodes for what was told; rejects when they do not answer. */
  check(): Promise<void>
}

/** Keeps telling that this process uses the schema, from `begin` until it is disposed. */
export function announceSchemaUse(
  db: WideColumnStore,
  use: SchemaUser & {
    readonly process: string
    readonly clock: Pick<Clock, 'sleep'>
    readonly failed: (error: unknown) => void
  },
): SchemaUse {
  const { service, host, schema, process, clock, failed } = use
  const stopping = new AbortController()
  let begun: Promise<void> | undefined
  let renewing = Promise.resolve()

  const renew = (): Promise<void> =>
    db.put(
      schemaUsersTable,
      { scope, process, service, host, schema },
      { ttlSeconds: userTtlSeconds },
    )

  /** Nothing may use the schema before it is known to do so. */
  async function register(): Promise<void> {
    for (;;) {
      try {
        await renew()
        return
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        failed(error)
        await clock.sleep(registerAgainMs, stopping.signal)
      }
    }
  }

  async function keepRenewing(): Promise<void> {
    for (;;) {
      try {
        await clock.sleep(renewEveryMs, stopping.signal)
      } catch {
        return
      }
      // The next one may succeed; several in a row may fail before the row is gone.
      await renew().catch(failed)
    }
  }

  return {
    begin: () =>
      (begun ??= db
        .open([schemaUsersTable])
        .then(register)
        .then(() => {
          renewing = keepRenewing()
        })),
    async check() {
      await db.get(schemaUsersTable, { scope, process })
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await renewing
      if (begun === undefined) return
      await db.remove(schemaUsersTable, { scope, process }).catch(failed)
    },
  }
}

/** Those that told within the last minute and a half. */
export async function schemaUsers(db: WideColumnStore): Promise<readonly SchemaUser[]> {
  const found: SchemaUser[] = []
  let page: string | undefined
  do {
    const { rows, next } = await db.list(schemaUsersTable, { scope }, { page })
    found.push(...rows)
    page = next
  } while (page !== undefined)
  return found
}
