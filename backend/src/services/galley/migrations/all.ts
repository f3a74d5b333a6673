import type { Step } from '../../../platform/jobs/job.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import { conversationTables } from '../store/conversations.ts'
import { listConversations } from './001-list-conversations.ts'

/** Changes of galley's rows from one release to the next, in their order; see docs/operating.md. */
export async function galleyMigrations(db: WideColumnStore): Promise<readonly Step[]> {
  await db.open(conversationTables)
  return [listConversations(db)]
}
