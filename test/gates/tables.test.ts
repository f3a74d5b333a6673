import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { schemaUsersTable } from '../../backend/src/adapters/cassandra/schema-users.ts'
import { Config } from '../../backend/src/compose/config.ts'
import { startEmbedded } from '../../backend/src/compose/embedded.ts'
import { allTables } from '../../backend/src/compose/tables.ts'
import { journalTable } from '../../backend/src/platform/jobs/journal.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

describe('tables', () => {
  it('that services open are all listed, and no others', async () => {
    const data = await mkdtemp(join(tmpdir(), 'tables-'))
    try {
      const config = Config.parse({
        data,
        listen: '127.0.0.1:0',
        operatorListen: '127.0.0.1:0',
        log: { level: 'silent' },
      })
      await using _running = await startEmbedded(config)
      const db = new DatabaseSync(join(data, 'tricord.sqlite'), { readOnly: true })
      const opened = db.prepare('SELECT name FROM "_tables"').all()
      db.close()
      const ofJobs = new Set([journalTable.name, schemaUsersTable.name])
      const listed = allTables.map(({ name }) => name).filter((name) => !ofJobs.has(name))
      expect(opened.map((row) => String(row['name'])).toSorted()).toEqual(listed.toSorted())
    } finally {
      await rm(data, { recursive: true })
    }
  })

  it.each([
    ['stand in the migrations of Cassandra', 'scripts/cassandra-migration.ts'],
    ['are described in the data model, which is current', 'scripts/data-model.ts'],
  ])('%s', async (_, script) => {
    const { stdout } = await run(
      'node',
      ['--disable-warning=ExperimentalWarning', script, '--check'],
      {
        cwd: root,
      },
    )
    expect(stdout).toMatch(/declared|tables/)
  })
})
