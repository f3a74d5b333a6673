import type { Client } from '@opensearch-project/opensearch'
import { z } from 'zod'
import { Unavailable } from '../../contract/error.ts'
import { TeamId, UserId } from '../../contract/ids.ts'
import type { Dependencies } from '../../platform/dependencies.ts'
import { maxWords, wordsOf } from '../../platform/folded-words.ts'
import type { UserDocument, UserHits, UserQuery, UserSearch } from '../../ports/search.ts'
import {
  connectOpenSearch,
  openSearchOutage,
  statusOf,
  type OpenSearchConnection,
} from './client.ts'

export interface OpenSearchOptions extends OpenSearchConnection {
  /** The alias; the job elasticsearch-index-create makes the index that it stands for. */
  readonly index: string
}

const timeoutMs = 2000
/** A large bulk of documents takes a while to be indexed. */
const bulkTimeoutMs = 10_000
const documentsAtOnce = 500
/** The server stops looking after so long, and gives what it has. */
const searchLimit = '1500ms'

const StoredDocument = z.object({
  user: UserId,
  name: z.string(),
  handle: z.string().optional(),
  accentId: z.number(),
  team: TeamId.optional(),
  type: z.enum(['regular', 'app', 'bot']),
  isSearchable: z.boolean(),
  isActive: z.boolean(),
  isInboundOpen: z.boolean(),
  versionMs: z.number(),
})
const Sort = z.tuple([z.number(), z.string()])
const Answer = z.looseObject({
  took: z.number(),
  hits: z.looseObject({
    total: z.looseObject({ value: z.number() }),
    hits: z.array(
      z.looseObject({
        _source: z.looseObject({ document: StoredDocument }),
        sort: Sort.optional(),
      }),
    ),
  }),
})
const BulkAnswer = z.looseObject({
  errors: z.boolean(),
  items: z.array(
    z.record(
      z.string(),
      z.looseObject({
        status: z.number(),
        error: z.looseObject({ type: z.string() }).optional(),
      }),
    ),
  ),
})

/**
 * User search in OpenSearch. What was indexed is found about a second later. A document carries the
 * version of its user, by which the newer one wins whatever the order of arrival.
 */
export async function openOpenSearch(
  options: OpenSearchOptions,
  deps: { readonly dependencies: Dependencies },
): Promise<UserSearch> {
  const { index } = options
  const client = await connectOpenSearch(options, timeoutMs)
  const dependency = deps.dependencies.add({
    name: 'opensearch (search)',
    need: 'never',
    outageOf: openSearchOutage,
    limits: { timeoutMs, atOnce: 32, waiting: 128 },
    probe: async () => {
      await client.search({ index, body: { size: 0, track_total_hits: 1 } }).catch((error) => {
        if (statusOf(error) !== 404) throw error
        throw new Unavailable(`ask for users`, {
          cause: new Error(
            `there is no index "${index}"; the job elasticsearch-index-create makes it`,
          ),
        })
      })
    },
  })

  async function bulk(what: string, lines: readonly Record<string, unknown>[]): Promise<void> {
    await dependency.attempt(
      { what, isWrite: true, retries: 1, timeoutMs: bulkTimeoutMs },
      async () => {
        const { body } = await client.bulk(
          { index, body: [...lines] },
          { requestTimeout: bulkTimeoutMs },
        )
        const answer = BulkAnswer.parse(body)
        if (answer.errors) throwFirst(what, answer.items)
      },
    )
  }

  return {
    async isEmpty() {
      return dependency.attempt({ what: 'count users', retries: 1 }, async () => {
        const { body } = await client.search({ index, body: { size: 0, track_total_hits: 1 } })
        return Answer.shape.hits.shape.total.parse(body.hits.total).value === 0
      })
    },
    async index(documents) {
      for (let first = 0; first < documents.length; first += documentsAtOnce) {
        const some = documents.slice(first, first + documentsAtOnce)
        await bulk(
          'index users',
          some.flatMap((document) => [
            {
              index: {
                _id: document.user,
                version: document.versionMs,
                version_type: 'external_gte',
                require_alias: true,
              },
            },
            indexed(document),
          ]),
        )
      }
    },
    async remove(users) {
      for (let first = 0; first < users.length; first += documentsAtOnce) {
        await bulk(
          'remove users',
          users.slice(first, first + documentsAtOnce).map((user) => ({ delete: { _id: user } })),
        )
      }
    },
    async find(query) {
      const words = wordsOf(query.text).slice(0, maxWords)
      if (words.length === 0) return { documents: [], found: 0, tookMs: 0 }
      return dependency.attempt({ what: 'search users', retries: 1 }, () =>
        find(client, index, words, query),
      )
    },
    async [Symbol.asyncDispose]() {
      await client.close()
    },
  }
}

function indexed(document: UserDocument): Record<string, unknown> {
  const { user, team, type, versionMs, isInboundOpen, isSearchable, isActive } = document
  return {
    user,
    handle: wordsOf(document.handle ?? '').join(' '),
    name: wordsOf(document.name).join(' '),
    hasHandle: document.handle !== undefined,
    ...(team === undefined ? {} : { team }),
    type,
    isFound: isSearchable && isActive,
    isInboundOpen,
    versionMs,
    document,
  }
}

/** An older document than the one there, and one that is gone already, are no failures. */
function throwFirst(what: string, items: z.output<typeof BulkAnswer>['items']): void {
  for (const item of items) {
    const [[action, { status, error }] = ['', { status: 200, error: undefined }]] =
      Object.entries(item)
    if (status < 300 || status === 409) continue
    if (status === 404 && (action === 'delete' || error?.type !== 'index_not_found_exception'))
      continue
    const cause = new Error(`an item was refused with ${String(status)}: ${error?.type ?? ''}`)
    if (status === 429 || status === 404 || status >= 500) throw new Unavailable(what, { cause })
    throw cause
  }
}

async function find(
  client: Client,
  index: string,
  words: readonly string[],
  query: UserQuery,
): Promise<UserHits> {
  const after = parsePage(query.page)
  const { body } = await client.search({
    index,
    body: {
      timeout: searchLimit,
      // One more than asked for says whether there is a next page.
      size: query.size + 1,
      _source: ['document'],
      query: {
        function_score: {
          query: { bool: boolQuery(words, query) },
          functions: [
            { filter: { bool: otherTeam(query) }, weight: 0.1 },
            { filter: { term: { hasHandle: false } }, weight: 0.5 },
          ],
          score_mode: 'multiply',
          boost_mode: 'multiply',
        },
      },
      sort: [{ _score: 'desc' }, { user: 'asc' }],
      ...(after === undefined ? {} : { search_after: after }),
    },
  })
  const { took, hits } = Answer.parse(body)
  const page = hits.hits.slice(0, query.size)
  const last = page.at(-1)?.sort
  return {
    documents: page.map(({ _source }) => withoutAbsent(_source.document)),
    found: hits.total.value,
    tookMs: took,
    ...(hits.hits.length > query.size && last !== undefined ? { next: formatPage(last) } : {}),
  }
}

/** Each word begins a word of the handle or the name; whole words and handles weigh more. */
function boolQuery(words: readonly string[], { searcher, space, type }: UserQuery) {
  const field = (name: string, word: string, weight: number) => [
    { constant_score: { filter: { prefix: { [name]: word } }, boost: weight } },
    { constant_score: { filter: { term: { [name]: word } }, boost: weight * 1.5 } },
  ]
  return {
    must: words.map((word) => ({
      dis_max: { queries: [...field('handle', word, 2), ...field('name', word, 1)] },
    })),
    filter: [
      { term: { isFound: true } },
      ...(type === undefined ? [] : [{ term: { type } }]),
      space.kind === 'own-team'
        ? { term: { team: space.team } }
        : {
            bool: {
              should: [
                { bool: { must_not: [{ exists: { field: 'team' } }] } },
                { term: { isInboundOpen: true } },
                ...(space.team === undefined ? [] : [{ term: { team: space.team } }]),
              ],
              minimum_should_match: 1,
            },
          },
    ],
    must_not: [{ term: { user: searcher } }],
  }
}

const otherTeam = ({ space }: UserQuery) => ({
  must: [{ exists: { field: 'team' } }],
  must_not: space.team === undefined ? [] : [{ term: { team: space.team } }],
})

/** `undefined` as a value is not absence. */
function withoutAbsent({ handle, team, ...rest }: z.output<typeof StoredDocument>): UserDocument {
  return { ...rest, ...(handle !== undefined && { handle }), ...(team !== undefined && { team }) }
}

const formatPage = (sort: z.output<typeof Sort>): string =>
  Buffer.from(JSON.stringify(sort)).toString('base64url')

/** A token that we did not make counts as none. */
export function parsePage(page: string | undefined): z.output<typeof Sort> | undefined {
  if (page === undefined) return undefined
  try {
    return Sort.parse(JSON.parse(Buffer.from(page, 'base64url').toString()))
  } catch {
    return undefined
  }
}
