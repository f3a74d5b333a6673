import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { localRegistry } from '../../../adapters/local/registry.ts'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import type { ConversationId, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { journalTable } from '../../../platform/jobs/journal.ts'
import { runJob } from '../../../platform/jobs/run-job.ts'
import { conversationStore, members } from '../store/conversations.ts'
import { galleyMigrations } from './all.ts'

it('puts conversations that a list lacks into the list of each member', async () => {
  await using db = await openSqlite({ file: ':memory:' })
  await db.open([journalTable])
  const steps = await galleyMigrations(db)
  const [alice, bob] = [randomUUID() as UserId, randomUUID() as UserId]
  const rooms = [1, 2, 3].map(() => randomUUID() as ConversationId).toSorted()
  for (const conversation of rooms) {
    for (const user of [alice, bob]) {
      await db.put(members, { conversation, user, role: 'wire_admin', joined: 1000 } as never)
    }
  }
  const store = conversationStore(db)
  expect(await store.listOf(alice, undefined, 10)).toEqual([])
  const deps = { registry: localRegistry(), db, clock: fakeClock(), holder: 't', report: () => {} }
  const { signal } = new AbortController()
  await runJob({ name: 'galley-migrate-data', steps }, deps, { signal })
  expect(await store.listOf(alice, undefined, 10)).toEqual(rooms)
  expect(await store.listOf(bob, undefined, 10)).toEqual(rooms)
})
