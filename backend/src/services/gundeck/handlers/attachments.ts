import type { Handlers } from '../../../contract/endpoint.ts'
import type { attachmentsApi } from '../../../contract/gundeck/attachments.ts'
import type { Cannons } from '../inbox/cannons.ts'
import type { InboxReader } from '../inbox/reader.ts'

export function attachmentHandlers(deps: {
  cannons: Cannons
  reader: InboxReader
}): Handlers<typeof attachmentsApi> {
  const { cannons, reader } = deps
  return {
    async exchangeAttachments({ params, body }) {
      return { status: 200, body: cannons.exchange(params.cannon, body) }
    },
    async readInbox({ params, body }) {
      const { rows, position, hasMore } = await reader.page(params.user, {
        after: body.after,
        client: body.client,
        connection: body.connection,
        limit: body.limit,
        limitBytes: body.limitBytes,
      })
      return { status: 200, body: { rows, position: position ?? body.after, hasMore } }
    },
  }
}
