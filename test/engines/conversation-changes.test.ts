import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSchema } from '../../backend/src/adapters/cassandra/create-schema.ts'
import { connect, type Session } from '../../backend/src/adapters/cassandra/session.ts'
import { cassandraStore } from '../../backend/src/adapters/cassandra/wide-column.ts'
import { UnknownOutcome } from '../../backend/src/contract/error.ts'
import type { ConversationId } from '../../backend/src/contract/ids.ts'
import { systemClock } from '../../backend/src/platform/clock.ts'
import type { PushToInboxes } from '../../backend/src/services/galley/push.ts'
import { galleyTables } from '../../backend/src/services/galley/tables.ts'
import {
  actor,
  carol,
  changingGalley,
  createRoom,
  dave,
  draftOf,
  expectOneOrder,
  inboxes,
} from '../../backend/src/services/galley/test-changes.ts'

const nodes = process.env['TEST_CASSANDRA']?.split(',')
const keyspace = `t${randomBytes(5).toString('hex')}`
const timeout = 120_000

describe.skipIf(nodes === undefined)('galleys on Cassandra (TEST_CASSANDRA)', { timeout }, () => {
  const clock = systemClock()
  const sessions: Session[] = []
  beforeAll(async () => {
    for (let count = 0; count < 3; count += 1) {
      const options = { contactPoints: nodes ?? [], localDatacenter: 'dc1' }
      sessions.push(await connect({ ...options, requestTimeoutMs: 20_000 }))
    }
    const [first] = sessions
    if (first) await createSchema(first, keyspace, galleyTables)
  }, timeout)
  afterAll(async () => {
    const name = `${keyspace}_galley`
    await sessions[0]?.administer(name, `DROP KEYSPACE IF EXISTS ${name}`)
    for (const session of sessions) await session[Symbol.asyncDispose]()
  }, timeout)

  it('change one conversation at once, and tell one order', async () => {
    const id = randomUUID() as ConversationId
    const inbox = inboxes(() => clock.nowMs())
    const push: PushToInboxes = async (sent, earlier) => {
      await clock.sleep(2)
      for (const { user } of sent.recipients) inbox.store(user, sent, earlier !== undefined)
      return {}
    }
    const hoursMs = 3_600_000
    const galleys = await Promise.all(
      sessions.map(async (session, index) => {
        const offsetMs = (index - 1) * hoursMs
        const db = cassandraStore(session, { keyspace, nowMs: () => clock.nowMs() + offsetMs })
        await db.open(galleyTables)
        return changingGalley(db, { ...clock, nowMs: () => clock.nowMs() + offsetMs }, push)
      }),
    )
    const [first] = galleys
    if (!first) throw new TypeError('there is no galley')
    await createRoom(first.log, id)

    const answered: string[] = []
    await Promise.all(
      galleys.map(async ({ log }, index) => {
        for (const [count, what] of (['rename', carol, dave, carol, 'rename'] as const).entries()) {
          let attempts = 0
          const name = () => `${String(index)}-${String(count)}.${String(attempts)}`
          try {
            await log.within(id, async ({ room, perform }) => {
              attempts += 1
              if (!room) throw new TypeError('the room is gone')
              await perform(actor, draftOf(room, what, name()))
            })
            answered.push(name())
          } catch (err) {
            // Whoever asked is told just that: it may have happened.
            if (!(err instanceof UnknownOutcome)) throw err
          }
        }
      }),
    )
    // The one whose clock is ahead finds what any of them left.
    await galleys.at(-1)?.log.finishAbandoned(0, new AbortController().signal)
    expect(answered.length).toBeGreaterThan(0)
    await expectOneOrder(first, inbox, id, answered)
  })
})
