import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localRegistry } from '../../local/registry.ts'
import { systemClock } from '../../../platform/clock.ts'
import { JobRefused } from '../../../platform/jobs/job.ts'
import { journalTable } from '../../../platform/jobs/journal.ts'
import { runJob } from '../../../platform/jobs/run-job.ts'
import { table } from '../../../ports/wide-column.ts'
import type { AnyTable, WideColumnStore } from '../../../ports/wide-column.ts'
import { createSchema, readOptions, readReplication } from '../create-schema.ts'
import { announceSchemaUse, schemaUsers, schemaUsersTable } from '../schema-users.ts'
import { connect, type Session } from '../session.ts'
import { cassandraStore } from '../wide-column.ts'
import { addColumn, checkMigrations, checksumOf, createTable, dropColumn } from './migration.ts'
import { dropTable, schemaAfter, type Migration } from './migration.ts'
import { differences } from './differences.ts'
import { migrationSteps } from './steps.ts'

const never = new AbortController().signal
const clock = systemClock()

/** Of three releases, one after the other. */
const notes1 = table({
  name: 'example_notes',
  partition: { user: 'uuid' },
  cluster: { note: 'int' },
  columns: { text: 'text' },
})
const notes2 = table({ ...notes1, columns: { text: 'text', colour: 'text?' } })
const notes3 = table({ ...notes1, columns: { text: 'text', color: 'text?' } })

const first: Migration = {
  number: 1,
  name: 'notes',
  phase: 'expand',
  changes: [createTable(notes1)],
}
const colour: Migration = {
  number: 2,
  name: 'colour',
  phase: 'expand',
  changes: [addColumn('example_notes', 'colour', 'text?')],
}
const color: Migration = {
  number: 3,
  name: 'color',
  phase: 'expand',
  changes: [addColumn('example_notes', 'color', 'text?')],
}
const noColour: Migration = {
  number: 4,
  name: 'no-colour',
  phase: 'contract',
  changes: [dropColumn('example_notes', 'colour')],
}

const many: Migration = {
  number: 5,
  name: 'many',
  phase: 'expand',
  changes: ['a', 'b', 'c'].map((name) =>
    createTable(table({ ...notes1, name: `example_${name}` })),
  ),
}
const worklist: Migration = {
  number: 6,
  name: 'worklist',
  phase: 'expand',
  changes: [createTable(table({ ...notes1, name: 'example_d', shape: 'worklist' }))],
}

describe('migrations', () => {
  it('add up to what a release declares', () => {
    expect(differences(schemaAfter([first]), [notes1])).toEqual({
      expand: [],
      contract: [],
      impossible: [],
    })
    expect(differences(schemaAfter([first, colour, color, noColour]), [notes3])).toEqual({
      expand: [],
      contract: [],
      impossible: [],
    })
  })

  it('that are missing are written down', () => {
    expect(differences(schemaAfter([first, colour]), [notes3])).toEqual({
      expand: ["addColumn('example_notes', 'color', 'text?')"],
      contract: ["dropColumn('example_notes', 'colour')"],
      impossible: [],
    })
    expect(differences(new Map(), [notes1]).expand).toHaveLength(1)
    expect(differences(schemaAfter([first]), []).contract).toEqual(["dropTable('example_notes')"])
  })

  it('forget tables that are dropped', () => {
    const gone = { ...noColour, changes: [dropTable('example_notes')] }
    expect(schemaAfter([first, gone]).size).toBe(0)
  })

  it('cannot change a key, a type or how a table is written', () => {
    const known = schemaAfter([first])
    const others: AnyTable[] = [
      table({ ...notes1, partition: { user: 'text' } }),
      table({ ...notes1, columns: { text: 'blob' } }),
      table({ ...notes1, writes: 'conditional' }),
      table({ ...notes1, shape: 'queue' }),
    ]
    for (const other of others) {
      expect(differences(known, [other]).impossible).toHaveLength(1)
    }
  })

  it('have numbers that rise, and do not mix what comes with what goes', () => {
    expect(() => checkMigrations([first, colour, color, noColour])).not.toThrow()
    expect(() => checkMigrations([colour, first])).toThrow(/rise/)
    expect(() => checkMigrations([{ ...noColour, phase: 'expand' }])).toThrow(/no part of expand/)
    expect(() => checkMigrations([{ ...first, phase: 'contract' }])).toThrow(/no part of contract/)
  })

  it('have a checksum that follows what they do, and not their name', () => {
    const sums = [first, colour, color, noColour].map(checksumOf)
    expect(new Set(sums).size).toBe(4)
    expect(checksumOf({ ...first, name: 'other', number: 9 })).toBe(checksumOf(first))
  })
})

const nodes = process.env['TEST_CASSANDRA']?.split(',')

describe.skipIf(nodes === undefined)('cassandra-migrations', { timeout: 120_000 }, () => {
  const keyspace = `m${randomBytes(5).toString('hex')}`
  const failures: unknown[] = []
  let session: Session
  beforeAll(async () => {
    session = await connect({
      contactPoints: nodes ?? [],
      localDatacenter: 'dc1',
      requestTimeoutMs: 20_000,
    })
    await createSchema(session, keyspace, [journalTable, schemaUsersTable])
  }, 120_000)
  afterAll(async () => {
    for (const service of ['example', 'jobs']) {
      const name = `${keyspace}_${service}`
      await session.administer(name, `DROP KEYSPACE IF EXISTS ${name}`)
    }
    await session[Symbol.asyncDispose]()
    if (failures.length > 0) throw new AggregateError(failures, 'announcements failed')
  }, 120_000)

  /** A process of a release: its store, which knows its own tables. */
  async function processOf(tables: readonly AnyTable[], schema: number) {
    const store = cassandraStore(session, { keyspace })
    await store.open([...tables, schemaUsersTable])
    const use = announceSchemaUse(store, {
      service: 'example',
      host: `host-${schema}`,
      process: randomUUID(),
      schema,
      clock,
      failed: (error) => failures.push(error),
    })
    await use.begin()
    return { store, stop: () => use[Symbol.asyncDispose]() }
  }

  async function migrate(
    migrations: readonly Migration[],
    options: { isContracting?: boolean; signal?: AbortSignal; session?: Session } = {},
  ) {
    const db: WideColumnStore = cassandraStore(session, { keyspace })
    await db.open([journalTable, schemaUsersTable])
    const steps = migrationSteps(migrations, {
      session: options.session ?? session,
      keyspace,
      replication: { dc1: 1 },
      users: () => schemaUsers(db),
      isContracting: options.isContracting ?? false,
    })
    const outcome = await runJob(
      { name: 'cassandra-migrations', steps },
      { registry: localRegistry(), db, clock, holder: 'test', report: () => undefined },
      { signal: options.signal ?? never },
    )
    return {
      done: outcome.done.filter((name) => name !== 'replication-and-options'),
      obstacles: outcome.postponed.map(({ obstacle }) => obstacle),
    }
  }

  it('let two releases run side by side, and take away only what nobody uses', async () => {
    expect(await migrate([first, colour])).toEqual({ done: ['notes', 'colour'], obstacles: [] })
    const user = randomUUID()
    const old = await processOf([notes2], 2)
    await old.store.put(notes2, { user, note: 1, text: 'a', colour: 'red' })

    // The next release: its columns come before it starts, those of the old one stay.
    const next = [first, colour, color, noColour]
    const waits = await migrate(next)
    expect(waits.done).toEqual(['color'])
    expect(waits.obstacles).toEqual(['run again with --contract when every host runs this release'])
    const young = await processOf([notes3], 4)
    await young.store.put(notes3, { user, note: 2, text: 'b', color: 'blue' })
    await old.store.update(notes2, { user, note: 2 }, { text: 'c' })
    const texts = async (store: WideColumnStore, of: AnyTable) =>
      (await store.list(of, { user })).rows
    expect(await texts(old.store, notes2)).toEqual([
      { user, note: 1, text: 'a', colour: 'red' },
      { user, note: 2, text: 'c' },
    ])
    expect(await texts(young.store, notes3)).toEqual([
      { user, note: 1, text: 'a' },
      { user, note: 2, text: 'c', color: 'blue' },
    ])
    expect((await migrate(next, { isContracting: true })).obstacles).toEqual([
      'an older release still runs: example on host-2',
    ])
    expect(await texts(old.store, notes2)).toHaveLength(2)

    await old.stop()
    expect(await migrate(next, { isContracting: true })).toEqual({
      done: ['no-colour'],
      obstacles: [],
    })
    expect(await texts(young.store, notes3)).toHaveLength(2)
    await young.stop()

    // The release before cannot go back.
    await expect(migrate([first, colour])).rejects.toThrow(JobRefused)
    await expect(migrate([first, { ...colour, changes: [] }, color, noColour])).rejects.toThrow(
      /another content/,
    )
  })

  it('go on where a run was interrupted, between any two changes', async () => {
    const all = [first, colour, color, noColour, many]
    let statements = 0
    const stop = new AbortController()
    const counted: Session = {
      ...session,
      async administer(inKeyspace, query) {
        await session.administer(inKeyspace, query)
        if (/CREATE TABLE/.test(query) && ++statements === 2) stop.abort(new Error('SIGTERM'))
      },
    }
    await expect(migrate(all, { session: counted, signal: stop.signal })).rejects.toThrow('SIGTERM')
    expect(statements).toBe(2)
    expect(await migrate(all, { session: counted })).toMatchObject({ done: ['many'] })
    expect(statements).toBe(3)
  })

  it('see to copies and options in every run', async () => {
    const all = [first, colour, color, noColour, many, worklist]
    await migrate(all)
    expect((await readOptions(session, keyspace, 'example_d'))?.gcGraceSeconds).toBe(86_400)
    await session.administer(
      `${keyspace}_example`,
      `ALTER TABLE "${keyspace}_example"."example_d" WITH gc_grace_seconds = 5`,
    )
    await session.administer(
      `${keyspace}_example`,
      `ALTER KEYSPACE "${keyspace}_example" WITH replication = ` +
        "{'class': 'NetworkTopologyStrategy', 'dc1': 2}",
    )
    await migrate(all)
    expect((await readOptions(session, keyspace, 'example_d'))?.gcGraceSeconds).toBe(86_400)
    expect(await readReplication(session, `${keyspace}_example`)).toEqual({ dc1: 1 })
  })

  it('keep a service waiting until its tables are there, and say so once', async () => {
    const late = table({ ...notes1, name: 'example_late' })
    const told: (string | undefined)[] = []
    const store = cassandraStore(session, { keyspace, waiting: (reason) => told.push(reason) })
    const opened = store.open([late])
    while (told.length === 0) await clock.sleep(50)
    await clock.sleep(1500)
    await createSchema(session, keyspace, [late])
    await opened
    expect(told).toEqual([
      'the schema is not ready: table example_late is missing; run cassandra-migrations',
      undefined,
    ])
    const user = randomUUID()
    await store.put(late, { user, note: 1, text: 'x' })
    expect(await store.get(late, { user, note: 1 })).toMatchObject({ text: 'x' })
  })
})
