import type { CloseReason, deliveriesApi } from '../../../contract/cannon/internal.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { awaitFrame } from '../rules/frames.ts'
import type { LiveSocket } from '../sockets/live-socket.ts'
import type { OwnerLinks } from '../sockets/owner-links.ts'

/** Normal closure: the client is not to come back by itself. */
const closeCode: Readonly<Record<CloseReason, number>> = {
  replaced: 1000,
  'client-removed': 1000,
  'user-removed': 1000,
}

export function deliverHandlers({
  link,
}: {
  link: OwnerLinks<LiveSocket>
}): Handlers<typeof deliveriesApi> {
  return {
    async deliver({ body }) {
      const unknown: number[] = []
      const touched: LiveSocket[] = []
      for (const row of body.deliveries) {
        let frame: Buffer | undefined
        const shared = (): Buffer =>
          (frame ??= awaitFrame(row.id, row.payload, row.isTransient === true))
        for (const [attachment, sequence] of row.to) {
          const socket = link.find(attachment)
          if (socket === undefined) {
            unknown.push(attachment)
          } else {
            socket.deliver(row, sequence, shared)
            touched.push(socket)
          }
        }
      }
      // Several deliveries for one socket leave as one write.
      for (const socket of touched) socket.flush()
      for (const attachment of body.lost) {
        const socket = link.find(attachment)
        link.detach(attachment)
        socket?.onLost()
      }
      for (const { attachment, reason } of body.close) {
        const socket = link.find(attachment)
        link.detach(attachment)
        socket?.close(closeCode[reason], reason)
      }
      return { status: 200, body: { unknown } }
    },
  }
}
