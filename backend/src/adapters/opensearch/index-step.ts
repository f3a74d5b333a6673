import type { Client } from '@opensearch-project/opensearch'
import { z } from 'zod'
import { Unavailable } from '../../contract/error.ts'
import type { Step, StepContext } from '../../platform/jobs/job.ts'
import { connectOpenSearch, openSearchOutage } from './client.ts'
import {
  copyDocuments,
  createIndex,
  currentIndex,
  deleteIndex,
  removeVanished,
  switchAlias,
  userIndexSchema,
  type IndexSchema,
} from './user-index.ts'
import type { OpenSearchOptions } from './user-search.ts'

const requestTimeoutMs = 30_000
/** Clocks of servers and this one may differ by so much. */
const slackMs = 60_000

/** How far a move to a new index has come; kept between runs. */
const Cursor = z.object({
  stage: z.enum(['made', 'copied', 'switched', 'caught up']),
  from: z.string(),
  to: z.string(),
  startedMs: z.number(),
})
type Cursor = z.infer<typeof Cursor>

/**
 * Makes the index of users, or moves to one of a newer shape while the server goes on: copy, switch
 * the alias, copy what changed meanwhile, take out what was removed meanwhile, delete the old one.
 */
export function indexStep(
  options: OpenSearchOptions,
  nowMs: () => number,
  schema: IndexSchema = userIndexSchema,
): Step {
  return {
    number: 1,
    name: 'index of users',
    checksum: '1',
    // A later release has another shape, and an index may be lost.
    isRepeated: true,
    async run(context) {
      const client = await connectOpenSearch(options, requestTimeoutMs)
      try {
        await moveTo(client, options.index, schema, nowMs, context)
      } finally {
        await client.close()
      }
    },
  }
}

async function moveTo(
  client: Client,
  alias: string,
  schema: IndexSchema,
  nowMs: () => number,
  context: StepContext,
): Promise<void> {
  const ask = <T>(work: () => Promise<T>): Promise<T> =>
    context.patiently(() => asUnavailable(work))
  let done = 0
  const reach = async (cursor: Cursor): Promise<Cursor> => {
    done += 1
    await context.save(JSON.stringify(cursor), { done, total: 4 })
    return cursor
  }

  let at = parseCursor(context.cursor)
  if (at === undefined) {
    const current = await ask(() => currentIndex(client, alias))
    if (current !== undefined && current.version >= schema.version) {
      context.report(`${alias} stands for ${current.name} already`)
      return
    }
    const startedMs = nowMs()
    const to = `${alias}-${String(schema.version)}-${String(startedMs)}`
    await ask(() => createIndex(client, to, schema))
    if (current === undefined) {
      await ask(() => switchAlias(client, alias, to, undefined))
      context.report(`made ${to}, empty: brig-index-migrate-data fills it`)
      return
    }
    at = await reach({ stage: 'made', from: current.name, to, startedMs })
  }
  const { from, to, startedMs } = at
  const sinceMs = startedMs - slackMs
  if (at.stage === 'made') {
    const copied = await ask(() => copyDocuments(client, from, to, 0))
    context.report(`copied ${String(copied)} users from ${from} to ${to}`)
    at = await reach({ ...at, stage: 'copied' })
  }
  if (at.stage === 'copied') {
    await ask(() => switchAlias(client, alias, to, from))
    at = await reach({ ...at, stage: 'switched' })
  }
  if (at.stage === 'switched') {
    const late = await ask(() => copyDocuments(client, from, to, sinceMs))
    const removed = await ask(() => removeVanished(client, from, to, sinceMs))
    context.report(`caught up: ${String(late)} changed and ${String(removed)} removed meanwhile`)
    await reach({ ...at, stage: 'caught up' })
  }
  await ask(() => deleteIndex(client, from))
  context.report(`${alias} stands for ${to} now`)
}

/** A cursor of a run that came to its end is none. */
function parseCursor(text: string | undefined): Cursor | undefined {
  if (text === undefined) return undefined
  try {
    return Cursor.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** OpenSearch that is away is waited for by who runs the job. */
async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (openSearchOutage(cause) !== undefined) throw new Unavailable('set up the index', { cause })
    throw cause
  }
}
