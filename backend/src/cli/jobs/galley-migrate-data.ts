import type { JobCommand } from './command.ts'
import { galleyMigrations } from '../../services/galley/migrations/all.ts'

export const galleyMigrateData: JobCommand = {
  name: 'galley-migrate-data',
  description: "bring galley's rows into the form that this release reads",
  async prepare({ stores }) {
    const db = await stores.wideColumn()
    return { name: 'galley-migrate-data', steps: await galleyMigrations(db) }
  },
}
