import type { MissingFilters } from '../../../contract/galley/messages.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import type { MismatchStrategy } from '../../../contract/proteus/otr-message.ts'

/** What the older form says in its body and its query, in the words of the newer one. */
export function strategyOf(
  domain: Domain,
  reportMissing: readonly UserId[] | undefined,
  query: MissingFilters,
): MismatchStrategy {
  const listed = (kind: 'report-only' | 'ignore-only', users: readonly UserId[]) => ({
    kind,
    users: users.map((id) => ({ domain, id })),
  })
  if (reportMissing !== undefined) return listed('report-only', reportMissing)
  const { ignore_missing: ignored, report_missing: reported } = query
  if (ignored === true) return { kind: 'ignore-all' }
  if (ignored !== undefined) return listed('ignore-only', ignored === false ? [] : ignored)
  if (reported === undefined || reported === true) return { kind: 'report-all' }
  return listed('report-only', reported === false ? [] : reported)
}
