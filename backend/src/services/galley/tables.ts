import type { AnyTable } from '../../ports/wide-column.ts'
import { changeTables } from './store/changes.ts'
import { clientTables } from './store/clients.ts'
import { codeTables } from './store/codes.ts'
import { conversationTables } from './store/conversations.ts'
import { removalKeyTables } from './store/removal-keys.ts'

export const galleyTables: readonly AnyTable[] = [
  ...conversationTables,
  ...clientTables,
  ...codeTables,
  ...changeTables,
  ...removalKeyTables,
]
