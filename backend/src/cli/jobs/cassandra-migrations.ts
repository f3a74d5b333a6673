import { createSchema, defaultReplication } from '../../adapters/cassandra/create-schema.ts'
import { migrations } from '../../adapters/cassandra/migrations/all.ts'
import { migrationSteps } from '../../adapters/cassandra/migrations/steps.ts'
import { schemaUsers, schemaUsersTable } from '../../adapters/cassandra/schema-users.ts'
import { waitForSession } from '../../adapters/cassandra/wide-column.ts'
import { cassandraOptions } from '../../compose/cassandra.ts'
import type { CassandraConfig, Config } from '../../compose/config.ts'
import { ConfigError } from '../../platform/config/load.ts'
import { journalTable } from '../../platform/jobs/journal.ts'
import type { JobCommand } from './command.ts'

const name = 'cassandra-migrations'

export const cassandraMigrations: JobCommand = {
  name,
  description: 'make the tables that this release needs, and change those of the release before',
  flags: [
    {
      name: 'contract',
      description: 'also take away what only older releases need: when all hosts run this one',
    },
  ],

  // The journal of the migrations lies in the cluster too, so its tables come before them.
  async begin({ config, platform }, signal) {
    const cassandra = cassandraConfig(config)
    const options = await cassandraOptions(cassandra, platform)
    await using session = await waitForSession({ ...options, signal })
    const tables = [journalTable, schemaUsersTable]
    await createSchema(session, cassandra.keyspace, tables, cassandra.replication)
  },

  async prepare(environment, flags, signal) {
    const { config, platform, stores } = environment
    const cassandra = cassandraConfig(config)
    const options = await cassandraOptions(cassandra, platform)
    const session = environment.use(await waitForSession({ ...options, signal }))
    const db = await stores.wideColumn()
    await db.open([schemaUsersTable])
    return {
      name,
      steps: migrationSteps(migrations, {
        session,
        keyspace: cassandra.keyspace,
        replication: cassandra.replication ?? (await defaultReplication(session)),
        users: () => schemaUsers(db),
        isContracting: flags.has('contract'),
      }),
    }
  },
}

function cassandraConfig({ wideColumn }: Config): CassandraConfig {
  if (wideColumn.kind === 'cassandra') return wideColumn
  throw new ConfigError('the configuration', [
    `wideColumn: ${name} is for the kind cassandra; ${wideColumn.kind} makes its tables itself`,
  ])
}
