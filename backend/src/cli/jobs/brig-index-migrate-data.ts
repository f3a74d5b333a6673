import { searchDocumentsStep } from '../../services/brig/migrations/search-documents.ts'
import type { JobCommand } from './command.ts'

export const brigIndexMigrateData: JobCommand = {
  name: 'brig-index-migrate-data',
  description: 'make the search documents of all users again, while the server goes on',
  async prepare({ stores, platform }) {
    const [db, search] = await Promise.all([stores.wideColumn(), stores.search()])
    const step = await searchDocumentsStep({ db, search, clock: platform.clock })
    return { name: 'brig-index-migrate-data', steps: [step] }
  },
}
