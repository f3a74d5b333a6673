import type { AnyTable } from '../../ports/wide-column.ts'
import { cursorsTable } from './store/cursors.ts'
import { idKeysTable } from './store/id-keys.ts'
import { bucketsTable, notificationsTable, payloadsTable } from './store/notifications.ts'
import { pushTokensTable } from './store/push-tokens.ts'
import { ringTable } from './store/ring.ts'

export const gundeckTables: readonly AnyTable[] = [
  ringTable,
  notificationsTable,
  bucketsTable,
  payloadsTable,
  cursorsTable,
  idKeysTable,
  pushTokensTable,
]
