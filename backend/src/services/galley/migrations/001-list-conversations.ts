import type { Step } from '../../../platform/jobs/job.ts'
import { forEachRow } from '../../../platform/jobs/scan-step.ts'
import { put, type WideColumnStore } from '../../../ports/wide-column.ts'
import { members, userConversations } from '../store/conversations.ts'

/**
 * Puts every membership into the list of its user. The two are written together, but a list that was
 * restored from another backup than the members lacks some; members are the truth.
 */
export const listConversations = (db: WideColumnStore): Step => ({
  number: 1,
  name: 'list-conversations',
  checksum: 'put-userConversations-of-members-at-joined',
  run: (context) =>
    forEachRow(db, members, context, async (rows) => {
      // One partition each: written side by side, not as one batch over all of them.
      await Promise.all(
        rows.map(({ conversation, user, joined }) =>
          db.batch([
            put(
              userConversations,
              { user, conversation, joined },
              // As old as the membership, so that it loses against a member who leaves meanwhile.
              { writtenAtMicros: BigInt(joined) * 1000n },
            ),
          ]),
        ),
      )
    }),
})
