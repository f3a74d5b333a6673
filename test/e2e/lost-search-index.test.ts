import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { startTestServer } from '../support/server.ts'
import { castOn } from '../support/wire/cast.ts'

it('fills a search index that was lost from the users, by itself', async () => {
  const data = await mkdtemp(join(tmpdir(), 'tricord-search-'))
  try {
    {
      await using server = await startTestServer({ data })
      await using cast = castOn(server)
      await cast.person('wilhelmina')
    }
    for (const end of ['', '-wal', '-shm']) {
      await rm(join(data, `tricord-search.sqlite${end}`), { force: true })
    }
    await using server = await startTestServer({ data })
    await using cast = castOn(server)
    const searcher = await cast.person('searcher')
    await vi.waitFor(async () => {
      const reply = await searcher.client.request<{ documents: { name: string }[] }>(
        'GET',
        '/search/contacts',
        { query: { q: 'wilhelm' }, expect: 200 },
      )
      expect(reply.json.documents.map(({ name }) => name)).toEqual(['wilhelmina'])
    })
  } finally {
    await rm(data, { recursive: true })
  }
})
