import type { Handlers } from '../../../contract/endpoint.ts'
import type { attachmentsApi } from '../../../contract/gundeck/attachments.ts'
import type { ringApi } from '../../../contract/gundeck/ring.ts'
import type { Cannons } from '../inbox/cannons.ts'
import type { InboxReader } from '../inbox/reader.ts'
import type { Ring } from '../ring/ring.ts'

export function attachmentHandlers(deps: {
  cannons: Cannons
  reader: InboxReader
  ring: Ring
}): Handlers<typeof attachmentsApi & typeof ringApi> {
  const { cannons, reader, ring } = deps
  return {
    async exchangeAttachments({ params, body }) {
      const exchanged = await cannons.exchange(params.cannon, body)
      const ringVersion = ring.map.version
      return { status: 200, body: { ...exchanged, ringVersion, isConfirmed: ring.isAlive } }
    },
    async getRing({ body }) {
      // Only one that is not cut off can tell what is new.
      await ring.refresh((body.after ?? -1) + 1)
      return { status: 200, body: ring.map }
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
