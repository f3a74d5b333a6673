import type { JobCommand } from './command.ts'

export const sparMigrateData: JobCommand = {
  name: 'spar-migrate-data',
  description: "bring spar's rows into the form that this release reads",
  // Spar has no rows whose form has changed.
  prepare: () => Promise.resolve({ name: 'spar-migrate-data', steps: [] }),
}
