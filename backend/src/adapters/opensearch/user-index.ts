import type { Client } from '@opensearch-project/opensearch'
import { z } from 'zod'
import { statusOf } from './client.ts'

/** What an index looks like; a change of the mapping needs a higher version. */
export interface IndexSchema {
  readonly version: number
  readonly properties: Readonly<Record<string, unknown>>
}

// Words are folded and taken apart here, so that no plug-in decides what matches; the prefixes of
// words are indexed by themselves.
const words = {
  type: 'text',
  analyzer: 'whitespace',
  index_prefixes: { min_chars: 1, max_chars: 12 },
  index_options: 'docs',
  norms: false,
}

export const userIndexSchema: IndexSchema = {
  version: 1,
  properties: {
    user: { type: 'keyword' },
    handle: words,
    name: words,
    hasHandle: { type: 'boolean' },
    team: { type: 'keyword' },
    type: { type: 'keyword' },
    isFound: { type: 'boolean' },
    isInboundOpen: { type: 'boolean' },
    versionMs: { type: 'long' },
    document: { type: 'object', enabled: false },
  },
}

const Indices = z.record(
  z.string(),
  z.looseObject({
    mappings: z
      .looseObject({ _meta: z.looseObject({ tricordSchema: z.number() }).optional() })
      .optional(),
  }),
)

export interface CurrentIndex {
  readonly name: string
  /** 0 when it was made by somebody else. */
  readonly version: number
}

/** The index behind the alias; undefined when there is none. */
export async function currentIndex(
  client: Client,
  alias: string,
): Promise<CurrentIndex | undefined> {
  const answer = await client.indices.get({ index: alias }).catch((error: unknown) => {
    if (statusOf(error) === 404) return undefined
    throw error
  })
  if (answer === undefined) return undefined
  const [found, ...more] = Object.entries(Indices.parse(answer.body))
  if (found === undefined) return undefined
  const [name, { mappings }] = found
  if (more.length > 0) throw new TypeError(`the alias ${alias} stands for several indices`)
  if (name === alias) throw new TypeError(`${alias} is an index, and has to be an alias of one`)
  return { name, version: mappings?._meta?.tricordSchema ?? 0 }
}

/** Makes an empty index that nobody sees yet; harmless to repeat. */
export async function createIndex(
  client: Client,
  name: string,
  schema: IndexSchema,
): Promise<void> {
  await client.indices
    .create({
      index: name,
      body: {
        settings: { number_of_shards: 1, auto_expand_replicas: '0-2' },
        mappings: {
          dynamic: 'strict',
          _meta: { tricordSchema: schema.version },
          // The library types mappings field by field; ours are plain data.
          properties: schema.properties as Record<string, { type: 'keyword' }>,
        },
      },
    })
    .catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.includes('resource_already_exists'))
        throw error
    })
}

/** Makes `name` what the alias stands for, in one step. */
export async function switchAlias(
  client: Client,
  alias: string,
  name: string,
  from: string | undefined,
): Promise<void> {
  await client.indices.updateAliases({
    body: {
      actions: [
        ...(from === undefined ? [] : [{ remove: { index: from, alias, must_exist: false } }]),
        { add: { index: name, alias, is_write_index: true } },
      ],
    },
  })
}

/**
 * Copies documents with their versions, so that a newer one is never replaced. Those of which the
 * version is at least `sinceMs` only.
 */
export async function copyDocuments(
  client: Client,
  from: string,
  to: string,
  sinceMs: number,
): Promise<number> {
  await client.indices.refresh({ index: from })
  const { body } = await client.reindex(
    {
      wait_for_completion: true,
      refresh: true,
      body: {
        conflicts: 'proceed',
        source: { index: from, query: { range: { versionMs: { gte: sinceMs } } } },
        dest: { index: to, version_type: 'external_gte' },
      },
    },
    { requestTimeout: 600_000 },
  )
  const { failures, created, updated } = Copied.parse(body)
  if (failures.length > 0)
    throw new Error(`documents could not be copied: ${JSON.stringify(failures[0])}`)
  return created + updated
}

const Copied = z.looseObject({
  failures: z.array(z.unknown()).default([]),
  created: z.number().default(0),
  updated: z.number().default(0),
})

const Page = z.looseObject({
  hits: z.looseObject({
    hits: z.array(z.looseObject({ _id: z.string(), sort: z.array(z.unknown()) })),
  }),
})
const Found = z.looseObject({
  docs: z.array(z.looseObject({ _id: z.string(), found: z.boolean().optional() })),
})
const pageSize = 1000

/**
 * Removes from `copy` what was removed from `original` while it was copied: documents older than
 * `beforeMs`, of which the original has none. Returns how many.
 */
export async function removeVanished(
  client: Client,
  original: string,
  copy: string,
  beforeMs: number,
): Promise<number> {
  await client.indices.refresh({ index: copy })
  let removed = 0
  for (let after: unknown[] | undefined; ;) {
    const page = await client.search({
      index: copy,
      body: {
        size: pageSize,
        _source: false,
        query: { range: { versionMs: { lt: beforeMs } } },
        sort: [{ user: 'asc' }],
        ...(after === undefined ? {} : { search_after: after as string[] }),
      },
    })
    const { hits } = Page.parse(page.body).hits
    if (hits.length === 0) return removed
    const ids = hits.map(({ _id }) => _id)
    const originals = await client.mget({ index: original, _source: false, body: { ids } })
    const gone = Found.parse(originals.body)
      .docs.filter(({ found }) => found !== true)
      .map(({ _id }) => _id)
    if (gone.length > 0) {
      await client.bulk({ index: copy, body: gone.map((_id) => ({ delete: { _id } })) })
      removed += gone.length
    }
    after = hits.at(-1)?.sort
  }
}

export async function deleteIndex(client: Client, name: string): Promise<void> {
  await client.indices.delete({ index: name }).catch((error: unknown) => {
    if (statusOf(error) !== 404) throw error
  })
}
