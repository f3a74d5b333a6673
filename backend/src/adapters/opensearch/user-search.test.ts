import { randomUUID } from 'node:crypto'
import { assert, json, oneof, property, string } from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client } from '@opensearch-project/opensearch'
import { startLossyProxy } from '../../../../test/support/lossy-proxy.ts'
import { Unavailable } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies, type Dependencies } from '../../platform/dependencies.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { searchContract } from '../../ports/search.contract.ts'
import type { UserDocument, UserQuery, UserSearch } from '../../ports/search.ts'
import { connectOpenSearch } from './client.ts'
import {
  copyDocuments,
  createIndex,
  currentIndex,
  deleteIndex,
  removeVanished,
  switchAlias,
  userIndexSchema,
} from './user-index.ts'
import { openOpenSearch, parsePage } from './user-search.ts'

const nodes = process.env['TEST_OPENSEARCH']?.split(',').map((node) => `http://${node}`) ?? []
const run = `test-${randomUUID()}`

const document = (number: number, changes: Partial<UserDocument> = {}): UserDocument => ({
  user: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}` as UserId,
  name: `nora ${String(number)}`,
  accentId: 0,
  type: 'regular',
  isSearchable: true,
  isActive: true,
  isInboundOpen: false,
  versionMs: 1000,
  ...changes,
})
const query = (text: string): UserQuery => ({
  text,
  searcher: 'nobody' as UserId,
  space: { kind: 'open' },
  size: 50,
})

describe.skipIf(nodes.length === 0)('OpenSearch, named by TEST_OPENSEARCH', () => {
  let admin: Client
  let opened = 0

  async function open(
    index: string,
    at = nodes,
  ): Promise<UserSearch & { dependencies: Dependencies }> {
    const dependencies = createDependencies({
      clock: systemClock(),
      log: pino({ level: 'silent' }),
      metrics: createMetrics('test'),
    })
    const search = await openOpenSearch({ nodes: at, index }, { dependencies })
    return {
      ...search,
      dependencies,
      async [Symbol.asyncDispose]() {
        await search[Symbol.asyncDispose]()
        await dependencies[Symbol.asyncDispose]()
      },
    }
  }
  /** An index of its own, so that each test finds only its own users. */
  async function openFresh(at = nodes): ReturnType<typeof open> {
    opened += 1
    const alias = `${run}-${String(opened)}`
    await createIndex(admin, `${alias}-1`, userIndexSchema)
    await switchAlias(admin, alias, `${alias}-1`, undefined)
    return open(alias, at)
  }
  const refresh = async (): Promise<void> => {
    await admin.indices.refresh({ index: `${run}*` })
  }
  const found = async (search: UserSearch, text = 'nora'): Promise<string[]> => {
    await refresh()
    return (await search.find(query(text))).documents.map(({ name }) => name).toSorted()
  }

  beforeAll(async () => {
    admin = await connectOpenSearch({ nodes }, 30_000)
  })
  afterAll(async () => {
    await admin.indices.delete({ index: `${run}*` })
    await admin.close()
  })

  searchContract(openFresh, refresh)

  it('says which index is missing, serves nothing, and makes none by itself', async () => {
    const alias = `${run}-late`
    await using search = await open(alias)
    const degraded = (): string => search.dependencies.degraded()[0] ?? ''
    await vi.waitUntil(() => /no index/.test(degraded()), { timeout: 5000 })
    await expect(search.index([document(1)])).rejects.toThrow(Unavailable)
    await expect(search.find(query('nora'))).rejects.toThrow(Unavailable)
    expect(await currentIndex(admin, alias)).toBeUndefined()
    expect(search.dependencies.missing()).toEqual([])
    await createIndex(admin, `${alias}-1`, userIndexSchema)
    await switchAlias(admin, alias, `${alias}-1`, undefined)
    await vi.waitUntil(() => degraded() === '', { timeout: 10_000 })
    expect(await search.isEmpty()).toBe(true)
  }, 120_000)

  it.each(['cut', 'freeze'] as const)(
    'fails in time while OpenSearch is away (%s), and serves again by itself',
    async (failure) => {
      await using proxy = await startLossyProxy(nodes[0] ?? '')
      await using search = await openFresh([`http://${proxy.address}`])
      await search.index([document(1)])
      expect(await found(search)).toEqual(['nora 1'])
      proxy[failure]()
      await expect(search.index([document(2)])).rejects.toThrow(Unavailable)
      await vi.waitUntil(() => search.dependencies.degraded().length === 1, { timeout: 30_000 })
      // Now nobody waits for it.
      for (let call = 0; call < 20; call += 1) {
        await expect(search.find(query('nora'))).rejects.toThrow(Unavailable)
      }
      proxy.mend()
      await vi.waitUntil(() => search.dependencies.degraded().length === 0, { timeout: 15_000 })
      // What was written without an answer may have been done.
      expect(await found(search)).toContain('nora 1')
    },
    60_000,
  )

  it('asks another node when one is frozen', async () => {
    await using frozen = await startLossyProxy(nodes[0] ?? '')
    await using well = await startLossyProxy(nodes[0] ?? '')
    await using search = await openFresh([frozen, well].map(({ address }) => `http://${address}`))
    await search.index([document(1)])
    await refresh()
    frozen.freeze()
    for (let call = 0; call < 6; call += 1) {
      expect((await search.find(query('nora'))).found).toBe(1)
    }
  }, 120_000)

  it('moves to an index of a new shape while users change', async () => {
    await using search = await openFresh()
    const alias = `${run}-${String(opened)}`
    const [old, next] = [`${alias}-1`, `${alias}-2`]
    expect(await currentIndex(admin, alias)).toEqual({ name: old, version: 1 })
    await search.index([1, 2, 3, 4].map((number) => document(number)))
    const schema = {
      version: 2,
      properties: { ...userIndexSchema.properties, later: { type: 'keyword' } },
    }
    await createIndex(admin, next, schema)
    await createIndex(admin, next, schema)
    expect(await copyDocuments(admin, old, next, 0)).toBe(4)
    // All the while the server goes on with the old index.
    await search.index([document(5, { versionMs: 2000 })])
    await search.index([document(1, { name: 'nora changed', versionMs: 2000 })])
    await search.remove([document(2).user])
    await switchAlias(admin, alias, next, old)
    await search.index([document(6, { versionMs: 3000 })])
    await search.index([document(3, { name: 'nora newest', versionMs: 3000 })])
    expect(await copyDocuments(admin, old, next, 1500)).toBe(2)
    expect(await removeVanished(admin, old, next, 1500)).toBe(1)
    await deleteIndex(admin, old)
    await deleteIndex(admin, old)
    expect(await currentIndex(admin, alias)).toEqual({ name: next, version: 2 })
    expect(await found(search)).toEqual([
      'nora 4',
      'nora 5',
      'nora 6',
      'nora changed',
      'nora newest',
    ])
  })
})

it('makes a page of its own tokens only', () => {
  const token = Buffer.from('[1.5,"a"]').toString('base64url')
  expect(parsePage(token)).toEqual([1.5, 'a'])
  assert(
    property(oneof(string(), json()), (text) => {
      const page = parsePage(Buffer.from(text).toString('base64url')) ?? parsePage(text)
      if (page !== undefined) expect(page).toHaveLength(2)
    }),
    { numRuns: 50 },
  )
})
