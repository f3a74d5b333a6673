import { accountTables } from '../services/brig/accounts.ts'
import { peopleTables } from '../services/brig/people.ts'
import { galleyTables } from '../services/galley/tables.ts'
import { gundeckTables } from '../services/gundeck/tables.ts'
import { schemaUsersTable } from '../adapters/cassandra/schema-users.ts'
import { journalTable } from '../platform/jobs/journal.ts'
import type { AnyTable } from '../ports/wide-column.ts'

/** Every table of this release, each once. */
export const allTables: readonly AnyTable[] = [
  ...new Map(
    [
      ...accountTables,
      ...peopleTables,
      ...galleyTables,
      ...gundeckTables,
      journalTable,
      schemaUsersTable,
    ].map((table) => [table.name, table]),
  ).values(),
]
