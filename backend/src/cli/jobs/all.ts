import type { JobCommand } from './command.ts'
import { brigIndexMigrateData } from './brig-index-migrate-data.ts'
import { cassandraMigrations } from './cassandra-migrations.ts'
import { createBuckets } from './create-buckets.ts'
import { elasticsearchIndexCreate } from './elasticsearch-index-create.ts'
import { galleyMigrateData } from './galley-migrate-data.ts'
import { sparMigrateData } from './spar-migrate-data.ts'

/** The jobs that run before the services, in the order of an installation or upgrade. */
export const jobCommands: readonly JobCommand[] = [
  cassandraMigrations,
  elasticsearchIndexCreate,
  createBuckets,
  brigIndexMigrateData,
  galleyMigrateData,
  sparMigrateData,
]
