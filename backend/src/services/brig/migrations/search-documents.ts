import type { Clock } from '../../../platform/clock.ts'
import type { Step } from '../../../platform/jobs/job.ts'
import type { UserSearch } from '../../../ports/search.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import { reindexUsers } from '../store/search-index.ts'
import { userStore, usersTable } from '../store/users.ts'

/**
 * Makes the search documents of all users again from the truth, while the server goes on: at every
 * run, since an index that was lost or moved has to be filled again.
 */
export async function searchDocumentsStep(deps: {
  readonly db: WideColumnStore
  readonly search: UserSearch
  readonly clock: Pick<Clock, 'nowMs'>
}): Promise<Step> {
  const { db, search, clock } = deps
  await db.open([usersTable])
  const users = userStore(db, clock)
  return {
    number: 1,
    name: 'search documents',
    checksum: '1',
    isRepeated: true,
    async run(context) {
      const { cursor, progress, signal } = context
      const patient = {
        users: { ...users, scan: (page?: string) => context.patiently(() => users.scan(page)) },
        search: {
          ...search,
          index: (documents: Parameters<UserSearch['index']>[0]) =>
            context.patiently(() => search.index(documents)),
          remove: (gone: Parameters<UserSearch['remove']>[0]) =>
            context.patiently(() => search.remove(gone)),
        },
      }
      const seen = await reindexUsers(patient, {
        signal,
        page: cursor,
        onPage: (next, now) => context.save(next, { done: progress.done + now }),
      })
      context.report(`${String(progress.done + seen)} users are in the index`)
    },
  }
}
