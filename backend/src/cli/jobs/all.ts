import type { JobCommand } from './command.ts'
import { cassandraMigrations } from './cassandra-migrations.ts'
import { galleyMigrateData } from './galley-migrate-data.ts'
import { sparMigrateData } from './spar-migrate-data.ts'

/** The jobs that run before the services, in the order of an installation or upgrade. */
export const jobCommands: readonly JobCommand[] = [
  cassandraMigrations,
  galleyMigrateData,
  sparMigrateData,
]
