import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, asyncProperty, oneof, string } from 'fast-check'
import { expect, it } from 'vitest'
import type { UserId } from '../../contract/ids.ts'
import type { UserDocument, UserQuery } from '../../ports/search.ts'
import { searchContract } from '../../ports/search.contract.ts'
import { openSqliteSearch } from './user-search.ts'

searchContract(() => openSqliteSearch({ file: ':memory:' }))

const document = (number: number, name: string): UserDocument => ({
  user: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}` as UserId,
  name,
  accentId: 0,
  type: 'regular',
  isSearchable: true,
  isActive: true,
  isInboundOpen: false,
  versionMs: 1,
})
const query = (text: string): UserQuery => ({
  text,
  searcher: 'nobody' as UserId,
  space: { kind: 'open' },
  size: 15,
})

it('keeps its documents from one opening to the next', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-search-'))
  try {
    const file = join(folder, 'search.db')
    {
      await using search = await openSqliteSearch({ file })
      await search.index([document(1, 'Ida')])
    }
    await using search = await openSqliteSearch({ file })
    expect((await search.find(query('ida'))).documents).toEqual([document(1, 'Ida')])
  } finally {
    await rm(folder, { recursive: true })
  }
})

it.each([
  ['Søren Ægir', 'soren aegir'],
  ['Łukasz Đorđević', 'lukasz dordevic'],
  ['Groß', 'gross'],
  ['İpek Işık', 'ipek isik'],
  ['ﬁnn Ⅳ', 'finn iv'],
  ['Ольга', 'ольга'],
])('finds %s as %s', async (name, text) => {
  await using search = await openSqliteSearch({ file: ':memory:' })
  await search.index([document(1, name)])
  expect((await search.find(query(text))).found).toBe(1)
  expect((await search.find(query(name))).found).toBe(1)
})

it('ranks and counts a bounded number of hits', async () => {
  await using search = await openSqliteSearch({ file: ':memory:' })
  const many = Array.from({ length: 3100 }, (_, number) => document(number, `anna ${number}`))
  await search.index(many)
  const hits = await search.find(query('anna'))
  expect(hits.found).toBe(3000)
  expect(hits.documents).toHaveLength(15)
})

it('takes any text and any page token', async () => {
  await using search = await openSqliteSearch({ file: ':memory:' })
  await search.index([document(1, 'anna')])
  const text = oneof(string({ unit: 'binary' }), string())
  await assert(
    asyncProperty(text, text, async (given, page) => {
      expect((await search.find(query(given))).found).toBeLessThanOrEqual(1)
      expect((await search.find({ ...query('anna'), page })).found).toBe(1)
    }),
    { numRuns: 200 },
  )
})
