import { firstTables } from './001-first-tables.ts'
import type { Migration } from './migration.ts'

/** In their order. New ones come last, and what was released stays as it is. */
export const migrations: readonly Migration[] = [firstTables]

/** What this release knows of. */
export const latestMigration = migrations.at(-1)?.number ?? 0
